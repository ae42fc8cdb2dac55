"""Memory and age of this process, for health reports."""

from __future__ import annotations

import os
import time
from pathlib import Path


def rss_mb() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes).

    Raises `OSError` or `ValueError` without /proc.
    """
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def rss_mb_or_zero() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes); 0 where it cannot be read."""
    try:
        return rss_mb()
    except (OSError, IndexError, ValueError):
        return 0.0


def seconds_since_start() -> float:
    """Return the seconds since the kernel started this process, including the start of Python."""
    try:
        # Field 22, counted after the name in brackets, which may contain anything.
        fields = (
            Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return time.process_time()
