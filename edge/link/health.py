"""What the link knows of itself and of the box."""

from __future__ import annotations

import os
from pathlib import Path


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
