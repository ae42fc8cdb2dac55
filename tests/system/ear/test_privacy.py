"""The ear publishes no sound: not to disk, not to the socket, not to the log.

The sound it is given is known, so every place is searched for runs of it:
tests/support/audio/search.py. The same search finds the same sound where it was put on purpose.
"""

import base64
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.audio import files as audiofile
from edge.audio.segmenter import Samples
from tests.conftest import SPEECH
from tests.support.audio.search import Search
from tests.support.ear import Ear, Link


def files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def in_shared_memory(begun: set[Path]) -> dict[str, bytes]:
    """What came after `begun`; the files of other programs may go away while we look."""
    found = {}
    for path in set(Path("/dev/shm").iterdir()) - begun:
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found[str(path)] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def sound() -> Samples:
    path = SPEECH / "goforward.raw"
    if not path.exists():
        pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
    return audiofile.load(path)


def test_no_sound_reaches_disk_socket_or_log(tmp_path: Path, sound: Samples) -> None:
    search = Search(sound)
    assert len(search) > 300
    room, own = tmp_path / "room", tmp_path / "own"
    room.mkdir()
    own.mkdir()
    shutil.copy(SPEECH / "goforward.raw", room)
    link = Link(own / "link.sock")
    begun = set(Path("/dev/shm").iterdir())
    settings = {
        "audio.source": "playback",
        "audio.playback_dir": room,
        "audio.speed": 8,
        "runtime.log_level": "debug",
    }
    ear = Ear(own, settings)
    try:
        link.accept()
        events = link.events(5, 40.0)
        assert len(events) == 5
        assert max(link.sizes) <= 1024
        # While it runs, its open files count too: a file without a name is a file.
        opened = open_files(ear.process.pid)
        written = [
            path for path in opened if path.is_file() and room not in path.parents and path.stat().st_size
        ]
        ear.process.terminate()
        assert ear.wait() == 0
    finally:
        ear.kill()
        link.close()
    places = {
        "socket": b"".join(link.raw),
        "log": "\n".join(ear.lines).encode(),
        **{str(path): path.read_bytes() for path in files(own)},
        **in_shared_memory(begun),
        **{str(path): path.read_bytes() for path in written if os.access(path, os.R_OK) and "pulse" not in str(path)
           and path.suffix not in {".so", ".tflite"}},
    }  # fmt: skip
    assert len(places["socket"]) > 1000
    for place, data in places.items():
        assert search.find(data) == [], place


def open_files(pid: int) -> set[Path]:
    """The open files of an ear; only root may see them, as it is not dumpable."""
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            list(Path(f"/proc/{pid}/fd").iterdir())
        return set()
    return {Path(entry).resolve() for entry in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize(
    "leak",
    [
        lambda s: s.tobytes(),
        lambda s: s.astype(">i2").tobytes(),
        lambda s: np.rint(s * 0.5).astype("<i2").tobytes(),
        lambda s: (s / np.float32(32768)).tobytes(),
        lambda s: s.astype("<f4").tobytes(),
        lambda s: s.tobytes().hex().encode(),
        lambda s: base64.b64encode(s.tobytes()),
        lambda s: base64.b64encode(b"x" + s.tobytes()),
        lambda s: base64.b64encode(b"xy" + s.tobytes()),
        lambda s: str(s[:3000].tolist()).encode(),
    ],
    ids=[
        "int16",
        "big-endian",
        "half",
        "float32",
        "unscaled",
        "hex",
        "base64",
        "base64+1",
        "base64+2",
        "decimal",
    ],
)
def test_the_same_search_finds_sound_that_was_put_there(sound: Samples, leak: object) -> None:
    second = sound[8000:24_000]
    data = b'{"event": "' + leak(second) + b'"}'  # type: ignore[operator]
    assert len(Search(sound).find(data)) > 3
