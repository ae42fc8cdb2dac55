"""Figures about the device's hardware."""

from __future__ import annotations

from pathlib import Path


def temperature_c(root: Path = Path("/sys")) -> float | None:
    """Return the temperature of the processor; None where the device has no sensor."""
    try:
        milli = int((root / "class/thermal/thermal_zone0/temp").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    celsius = milli / 1000
    return round(celsius, 1) if -60 <= celsius <= 200 else None
