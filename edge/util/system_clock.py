"""The system clock: local time, whether it is synchronised, the time since boot, and the id of the boot."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

LOCALTIME: Final = Path("/etc/localtime")
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512
"""More than `struct timex` on any Linux (208 bytes on 64-bit)."""


def synced(run: Path = Path("/run")) -> bool:
    """Whether a time service has set the clock; True where that is unknown.

    `adjtimex(2)` with no mode set changes nothing and returns TIME_ERROR while the clock is not synchronised. A unit
    with `ProtectClock` may not call it: then the file of systemd-timesyncd is used.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        state = -1
    if state >= 0:
        return bool(state != _TIME_ERROR)
    timesync = run / "systemd" / "timesync"
    return not timesync.is_dir() or (timesync / "synchronized").exists()


def boottime() -> float:
    """Return the seconds since the machine was started, including sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def machine_boot() -> str:
    """Return the random id of this boot; empty where the kernel's file is hidden."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class LocalClock:
    """Local time that follows the time zone of the system, as `timedatectl set-timezone` sets it.

    The C library reads /etc/localtime only once in the life of a process; this class reads it when it has changed.

    Where `TZ` is set, that holds for the whole process, as everywhere. Not thread-safe.
    """

    def __init__(self, file: Path = LOCALTIME) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._zone: tzinfo | None = None

    def now(self) -> datetime:
        """Return the present local time with its zone; by the C library where there is no readable time zone file."""
        if os.environ.get("TZ"):
            return datetime.now().astimezone()
        self._refresh()
        return datetime.now(self._zone) if self._zone is not None else datetime.now().astimezone()

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
        except OSError:
            return  # being replaced just now, or never there
        seen = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if seen == self._seen:
            return
        from zoneinfo import ZoneInfo  # not at the top: only where there are quiet hours

        self._seen = seen
        with contextlib.suppress(OSError, ValueError, struct.error), self._file.open("rb") as file:
            self._zone = ZoneInfo.from_file(file)
