"""Commands in a terminal that knows ASCII or Latin-1 only, and with names that no terminal should obey."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

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
