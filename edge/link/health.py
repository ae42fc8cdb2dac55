"""What the link knows of the box."""

from __future__ import annotations

from pathlib import Path


def temperature_c(root: Path = Path("/sys")) -> float | None:
    """Temperature of the processor; None where the box has no sensor."""
    try:
        milli = int((root / "class/thermal/thermal_zone0/temp").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    celsius = milli / 1000
    return round(celsius, 1) if -60 <= celsius <= 200 else None
