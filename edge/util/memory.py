"""Memory use of this process."""

from __future__ import annotations

import os
from pathlib import Path


def rss_mb() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes).

    Raises `OSError` or `ValueError` without /proc.
    """
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
