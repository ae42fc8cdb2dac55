"""What `roomtone doctor` checks about the link: broker, socket, and the disk for events that wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.config.settings import Config
from edge.doctor.check import Check
from edge.link.broker_check import check_broker
from edge.link.state.directories import state_dir

FREE_MB: Final = 20
_LISTENING: Final = 0x10000


def checks(config: Config) -> Iterator[Check]:
    """Check broker, socket and spool for `roomtone doctor`."""
    yield check_broker(config, _is_listening(Path(config.runtime.socket)))
    yield _socket(config)
    yield _spool(config)


def _socket(config: Config) -> Check:
    path = Path(config.runtime.socket)
    if _is_listening(path):
        return Check("socket", "ok", f"a link listens on {path}")
    if not path.parent.is_dir():
        return Check(
            "socket",
            "fail",
            f"{path.parent} does not exist",
            "make the directory, or set `runtime.socket`; the service makes it when it starts",
        )
    if not os.access(path.parent, os.W_OK):
        return Check(
            "socket",
            "warn",
            f"no link listens on {path}, and this user could not make the socket",
            "start the service, or run the link as the user who owns the directory",
        )
    return Check(
        "socket",
        "warn",
        f"no link listens on {path}",
        "start it: roomtone link, with the same --config as here",
    )


def _is_listening(path: Path) -> bool:
    """Asks the kernel's list: a connection would take the place of the ear."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return False
    fields = (line.split(maxsplit=7) for line in lines)
    return any(len(f) == 8 and f[7] == str(path) and int(f[3], 16) & _LISTENING for f in fields)


def _spool(config: Config) -> Check:
    place = state_dir(config)
    # The link makes it.
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Check(
            "spool",
            "warn",
            f"this user cannot write to {there}: in an outage of the broker events would wait in memory only",
            "set `runtime.state_dir`, or change the owner",
        )
    place = there
    free = shutil.disk_usage(place).free / 1e6
    if free < FREE_MB:
        return Check(
            "spool", "fail", f"{place}: only {free:.0f} MB free", f"make room: {FREE_MB} MB at least"
        )
    if _in_memory(place):
        return Check(
            "spool",
            "warn",
            f"{place} is in memory: events that wait there do not survive a power cut",
            "set `runtime.state_dir` to a folder on disk, for example /var/lib/roomtone",
        )
    return Check("spool", "ok", f"{place}, {free:.0f} MB free")


def _in_memory(place: Path) -> bool:
    """Whether the folder is on a file system that a power cut empties."""
    best, kind = "", ""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    target = f"{place.resolve()}/"
    for line in lines:
        _, mount, found, *_ = line.split(" ")
        if target.startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
            best, kind = mount, found
    return kind in {"tmpfs", "ramfs"}
