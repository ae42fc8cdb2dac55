"""The system clock: whether it is synchronised, the time since boot, and the id of the boot."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

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
