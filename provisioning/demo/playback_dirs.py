"""The rooms of the demo: microphones, folders of recordings, or the recorded voices of Debian's packages."""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.util.errors import UserError

SPEECH = Path("/usr/share/pocketsphinx/test/data")
NOISE = Path("/usr/share/sounds/alsa/Noise.wav")
_HINT = "run `./run demo`, which installs it, or name a folder of recordings with --playback DIR"


@dataclass(frozen=True)
class Room:
    """One room: its node id, its name, and the `[audio]` section of its configuration."""

    node: str
    name: str
    audio: dict[str, Any]

    @property
    def is_playback(self) -> bool:
        """Whether it plays recordings."""
        return bool(self.audio["source"] != "microphone")


def _slug(text: str) -> str:
    """Return a node id for a name: `Küche 2` becomes `kuche-2`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")[:56] or "room"


def _unique(rooms: list[Room]) -> list[Room]:
    result: list[Room] = []
    for room in rooms:
        used = {other.node for other in result}
        endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        ending = next(e for e in endings if room.node + e not in used)
        result.append(Room(room.node + ending, room.name + ending.replace("-", " "), room.audio))
    return result


def from_options(
    microphones: list[str], folders: list[Path], speed: float, *, loop: bool, scratch: Path
) -> list[Room]:
    """Return the rooms of the command line, or the default ones.

    `speed`: how many times faster than real time; `scratch`: a folder for links to recordings.
    Raises `UserError` when a folder is missing or there is no recorded speech.
    """
    rooms = [
        Room("mic" if not device else _slug(device), device or "Microphone", _microphone(device))
        for device in microphones
    ]
    require_folders(folders)
    paths = [folder.resolve() for folder in folders]
    rooms += [Room(_slug(path.name), path.name[:64], _recordings(path, speed, loop=loop)) for path in paths]
    return _unique(rooms or default_rooms(scratch, speed, loop=loop))


def require_folders(folders: list[Path]) -> None:
    """Raise `UserError` for a folder of `--playback` that is not there."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--playback {folder}: no such folder; it must hold WAV, FLAC or Opus files")


def default_rooms(scratch: Path, speed: float, *, loop: bool) -> list[Room]:
    """Return two rooms with recorded voices and one with noise only, as folders of links below `scratch`.

    Raises `UserError` when Debian's pocketsphinx-testdata is not installed.
    """
    clips = {
        "library": ("Library (a novel is read)", sorted(SPEECH.glob("librivox/*.wav"))),
        "kitchen": (
            "Kitchen (short commands)",
            sorted(SPEECH.glob("cards/*.wav")) + sorted(SPEECH.rglob("*.raw")),
        ),
        "attic": ("Attic (noise only)", [NOISE] if NOISE.exists() else []),
    }
    if not clips["library"][1]:
        raise UserError(f"no recorded speech: the package pocketsphinx-testdata is missing; {_HINT}")
    rooms = []
    for node, (name, files) in clips.items():
        if not files:
            continue
        folder = scratch / node
        folder.mkdir()
        for number, file in enumerate(files):
            (folder / f"{number:02d}-{file.name}").symlink_to(file)
        rooms.append(Room(node, name, _recordings(folder, speed, loop=loop)))
    return rooms


def _microphone(device: str) -> dict[str, Any]:
    return {"source": "microphone", "device": device}


def _recordings(folder: Path, speed: float, *, loop: bool) -> dict[str, Any]:
    return {"source": "playback", "playback_dir": str(folder), "speed": speed, "loop": loop}


def write_config(room: Room, port: int, model: str, folder: Path) -> Path:
    """Write the configuration of the room's ear and link into `folder`; return its path. `port`: the broker's."""
    # Not at the top: `provisioning.preflight` has the standard library only.
    from edge.config import template

    sections = {
        "node": {"id": room.node, "name": room.name},
        "audio": room.audio,
        "model": {"bundle": model},
        "mqtt": {"host": "127.0.0.1", "port": port},
        # The path of a socket may have 107 bytes at most, whatever the room is called.
        "runtime": {"socket": str(folder / f"{zlib.crc32(room.node.encode()):08x}.sock")},
    }
    path = folder / f"{room.node}.toml"
    path.write_text(template.render(sections), encoding="utf-8")
    return path
