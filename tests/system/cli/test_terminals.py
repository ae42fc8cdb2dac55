"""Commands in a terminal that knows ASCII or Latin-1 only, and with names that no terminal should obey."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.cli.main import main
from tests.support.process import ROOMTONE, environment_without

PLAIN = {"ascii": "ascii", "latin-1": "latin-1"}


def run(encoding: str, *words: object) -> subprocess.CompletedProcess[bytes]:
    environment = environment_without("LC_", "LANG", PYTHONIOENCODING=encoding)
    return subprocess.run(
        [*ROOMTONE, *(os.fsencode(word) if isinstance(word, Path) else str(word) for word in words)],
        capture_output=True, check=False, timeout=120, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", PLAIN)
def test_bars_and_names_are_shown_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "Küche – \x1b[2J.wav"
    soundfile.write(path.as_posix(), np.random.default_rng(0).normal(0, 0.01, 16_000), 16_000)
    done = run(encoding, "classify", path)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "#" in text and "\\x1b[2J" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("encoding", PLAIN)
def test_a_refusal_is_one_line_whatever_the_name_is(tmp_path: Path, encoding: str) -> None:
    names = (b"\xff\xfe.wav", "█\x1b]0;title\x07.wav".encode(), b"a\nb.wav")
    paths = [Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)) for name in names]
    for words, count in ((("classify", *paths), 3), (("ear", "--config", paths[1]), 1)):
        done = run(encoding, *words)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == count
        assert not {b"\x1b", b"\x07"} & {bytes([byte]) for byte in done.stderr}


@pytest.mark.parametrize(
    "words", [("--help",), ("classify", "--help"), ("hub", "--help"), ("fleet", "--help")]
)
def test_help_is_shown_in_ascii(words: tuple[str, ...]) -> None:
    done = run("ascii", *words)
    assert done.returncode == 0, done.stderr
    assert b"usage" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("mute",),
        ("fleet",),
        ("completion",),
        ("hub", "backup", "--database", "sqlite:///x.db", "--to", "y"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_is_wrong_sends_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main([*words, "\x1b]0;title\x07\x9b2J\u202e"])
    said = capsys.readouterr().err
    assert raised.value.code == 2
    assert all(line.isprintable() for line in said.splitlines())
    assert "title" in said


@pytest.mark.parametrize(
    "words",
    [
        ("recorder", "--broker", "mqtt://127.0.0.1:1", "--database", "sqlite:///{}/no/x.db"),
        ("hub", "user", "list", "--database", "sqlite:///{}/x.db"),
        ("hub", "restore", "{}/x", "--database", "sqlite:///{}/x.db"),
        ("demo", "--playback", "{}"),
        ("demo", "--model", "{}"),
        ("train", "corpora", "--data", "{}/none"),
        ("fleet", "--site", "{}", "list"),
        ("join", "{}/a.join", "--to", "{}"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
@pytest.mark.parametrize("encoding", PLAIN)
def test_a_folder_whose_name_is_no_text_is_refused_in_one_line(
    tmp_path: Path, encoding: str, words: tuple[str, ...]
) -> None:
    folder = os.fsencode(tmp_path) + b"/K\xfcche\x1b[2J"
    Path(os.fsdecode(folder)).mkdir()
    done = run(encoding, *(Path(os.fsdecode(word.encode().replace(b"{}", folder))) for word in words))
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert b"\x1b" not in done.stderr
