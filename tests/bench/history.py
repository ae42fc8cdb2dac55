"""The figures of each version, kept as docs/benchmarks/VERSION.json, and what got worse since the last one.

Only figures that say the same on another machine are compared: ratios to the large model or to a fixed computation that
were measured in the same run, and the memory of the ear (that of the large model depends on how PyTorch was built).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from tests.conftest import ROOT

FOLDER: Final = ROOT / "docs" / "benchmarks"
TOLERANCE: Final = 0.10
"""How much worse a figure may be than the last version's."""
COMPARED: Final = {
    "base_times_faster": "higher",
    "small_times_faster": "higher",
    "base_per_reference": "lower",
    "small_per_reference": "lower",
    "silence_per_reference": "lower",
    "speech_per_reference": "lower",
    "ear_rss_mb": "lower",
}
"""Key of a figure and which values are better."""


class HistoryError(Exception):
    """There are no figures to compare with, or they cannot be read; the text says which."""


def versions(folder: Path = FOLDER) -> list[tuple[str, dict[str, Any]]]:
    """Version and figures of every file, the oldest first. Raises `HistoryError`."""
    found = []
    for file in folder.glob("*.json"):
        try:
            figures = json.loads(file.read_text(encoding="utf-8"))
            order = Version(file.stem)
        except (ValueError, InvalidVersion, OSError) as error:
            raise HistoryError(f"{file} cannot be read: {error}") from None
        if not isinstance(figures, dict):
            raise HistoryError(f"{file} cannot be read: it is not an object of figures")
        found.append((order, file.stem, figures))
    return [(name, figures) for _, name, figures in sorted(found, key=lambda one: one[0])]


def value(figures: Mapping[str, Any], key: str) -> float | None:
    """A figure, of pairs their median; None where it was not measured. Raises `HistoryError` for another type."""
    found = figures.get(key)
    if isinstance(found, Mapping):
        found = found.get("median")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or found <= 0:
        raise HistoryError(f"{key} is {found!r}, not a positive number")
    return float(found)


def worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line for each compared figure that got worse by more than the tolerance, or that was not measured this time.

    Figures that the old version did not have are not compared. Raises `HistoryError`.
    """
    lines = []
    for key, better in COMPARED.items():
        before, now = value(old, key), value(new, key)
        if before is None:
            continue
        if now is None:
            lines.append(f"{key}: not measured, {before:.4g} before")
            continue
        loss = before / now - 1 if better == "higher" else now / before - 1
        if loss > TOLERANCE:
            lines.append(f"{key}: {now:.4g}, {before:.4g} before: {loss:.0%} worse, {TOLERANCE:.0%} allowed")
    return lines


def check(new: Mapping[str, Any], folder: Path = FOLDER) -> tuple[str, list[str]]:
    """The last version and what got worse since. Raises `HistoryError`, also where there is no version."""
    known = versions(folder)
    if not known:
        raise HistoryError(f"{folder} has no figures to compare with: ./run bench --record")
    name, old = known[-1]
    return name, worse(old, new)


def record(new: Mapping[str, Any], version: str, folder: Path = FOLDER) -> Path:
    """Keep the figures of a version."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{version}.json"
    place.write_text(json.dumps(new, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return place
