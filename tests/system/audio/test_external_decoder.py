"""Files that ffmpeg decodes: where it is installed, where it is not, and where it may not be used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from edge.audio import files
from edge.audio.files import AudioFileError
from edge.config.settings import Audio
from edge.ear.capture.playback import PlaybackSource
from edge.ear.capture.source import BLOCK_S, SourceEndedError
from tests.support.audio.kinds import EXTERNAL, FFMPEG, REFUSED, Kind, check_tone
from tests.support.process import environment_without, roomtone

BROKEN = [kind for kind in REFUSED if kind.external]


@pytest.fixture(autouse=True)
def ffmpeg() -> None:
    if FFMPEG is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have ffmpeg: apt-get install ffmpeg")
        pytest.skip("no ffmpeg here: apt install ffmpeg")


@pytest.mark.parametrize("kind", EXTERNAL, ids=[kind.name for kind in EXTERNAL])
def test_it_is_decoded_where_ffmpeg_may_and_refused_elsewhere(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    check_tone(files.load(path, external=True))
    with pytest.raises(AudioFileError, match="convert it to WAV") as raised:
        files.load(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("kind", EXTERNAL, ids=[kind.name for kind in EXTERNAL])
def test_without_ffmpeg_the_remedy_is_said(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioFileError, match="apt install ffmpeg") as raised:
        files.load(path, external=True)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", BROKEN, ids=[kind.name for kind in BROKEN])
def test_what_ffmpeg_cannot_read_either_is_one_line(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    with pytest.raises(AudioFileError, match=kind.refused) as raised:
        files.load(path, external=True)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_reading_that_is_given_up_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / EXTERNAL[0].name
    EXTERNAL[0].write(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        stream = files.read(path, external=True)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "ffmpeg" in Path(f"/proc/{pid}/comm").read_text()]


@pytest.mark.parametrize("kind", EXTERNAL[:2], ids=[kind.name for kind in EXTERNAL[:2]])
def test_a_playback_plays_what_classify_reads(tmp_path: Path, kind: Kind) -> None:
    kind.write(tmp_path / kind.name)
    (tmp_path / "notes.txt").write_text("no sound")
    audio = Audio(source="playback", playback_dir=str(tmp_path), speed=1000.0, loop=False)
    source = PlaybackSource(audio, threading.Event())
    source.open()
    heard = []
    with contextlib.suppress(SourceEndedError):
        while True:
            heard += [block.samples for block in source.read(8)]
    loud = sum(float(np.abs(samples).mean()) > 500 for samples in heard) * BLOCK_S
    assert loud == pytest.approx(1.0, abs=0.2)


def test_the_command_reads_a_recording_of_a_phone_by_name_and_from_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / EXTERNAL[0].name
    EXTERNAL[0].write(path)
    by_name = roomtone("classify", "--json", path)
    assert by_name.returncode == 0, by_name.stderr
    shutil.copy(path, tmp_path / "-x.m4a")
    found = json.loads(by_name.stdout)
    assert found["duration_s"] == pytest.approx(1.0, abs=0.1)
    without = roomtone("classify", path, environment=environment_without("PATH", PATH=str(tmp_path)))
    assert without.returncode == 2
    assert "apt install ffmpeg" in without.stderr
    assert len(without.stderr.splitlines()) == 1
