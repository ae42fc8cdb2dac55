"""Memory and age of this process, for health reports."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edge.util import memory


def rss_mb() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes); 0 where it cannot be read."""
    try:
        return memory.rss_mb()
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
