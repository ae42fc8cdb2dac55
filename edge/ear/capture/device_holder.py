"""Finds the program that holds a microphone: ALSA gives a device to one program only.

PortAudio leaves a device that is busy out of its list, so that "no microphone is connected" may mean "PulseAudio has
it". The kernel tells: `/proc/asound/card*/pcm*c/sub*/status` names the thread that has opened it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

PROC: Final = Path("/proc")
SERVERS: Final = {
    "pulseaudio": "PulseAudio",
    "pipewire": "PipeWire",
    "pipewire-pulse": "PipeWire",
    "wireplumber": "PipeWire",
}


class DeviceHolder(Struct, frozen=True):
    """A program that records from an ALSA card."""

    card: str
    """ALSA's short name of the card."""
    pid: int
    program: str
    """Its name; empty where it is hidden from this process (`ProtectProc=invisible` of the ear's unit)."""

    @property
    def description(self) -> str:
        """The program and the remedy, in a clause."""
        process = f"process {self.pid}"
        if not self.program:
            return f"{process} holds {self.card} (its name: sudo roomtone doctor)"
        server = SERVERS.get(self.program)
        if server is None:
            return f"{self.program} ({process}) holds {self.card}: end it"
        return f"{server} ({process}) holds {self.card} and has to release it: docs/device.md, The microphone"


def holders(proc: Path = PROC) -> list[DeviceHolder]:
    """List the other programs that record from a card, in the order of the cards."""
    found: list[DeviceHolder] = []
    for status in sorted(proc.glob("asound/card*/pcm*c/sub*/status")):
        thread = re.search(r"^owner_pid\s*:\s*(\d+)", _read(status), re.MULTILINE)
        if thread is None:
            continue  # closed
        pid = _process(proc, int(thread[1]))
        if pid == os.getpid():
            continue
        card = _read(status.parents[2] / "id").strip() or status.parents[2].name
        holder = DeviceHolder(card, pid, _read(proc / str(pid) / "comm").strip())
        if holder not in found:
            found.append(holder)
    return found


def explain(error: str, proc: Path = PROC) -> str:
    """Add the programs that hold a microphone to an error of opening one."""
    return "; ".join((error, *(holder.description for holder in holders(proc))))


def _process(proc: Path, thread: int) -> int:
    """The process of a thread: sound servers open devices in threads that have their own names."""
    found = re.search(r"^Tgid:\s*(\d+)", _read(proc / str(thread) / "status"), re.MULTILINE)
    return int(found[1]) if found else thread


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
