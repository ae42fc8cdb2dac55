"""What the link knows of itself and of the box."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512
"""More than `struct timex` on any Linux (208 bytes on 64-bit)."""


def clock_synced() -> bool:
    """Whether the kernel's clock is disciplined by a time service; True where the kernel does not say.

    `adjtimex(2)` with no mode set changes nothing and returns TIME_ERROR while the clock is not synchronised.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return True
    return bool(state != _TIME_ERROR)


def rss_mb() -> float:
    """Resident memory of this process in megabytes (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def temperature_c(root: Path = Path("/sys")) -> float | None:
    """Temperature of the processor; None where the box has no sensor."""
    try:
        milli = int((root / "class/thermal/thermal_zone0/temp").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    celsius = milli / 1000
    return round(celsius, 1) if -60 <= celsius <= 200 else None
