"""Figures without a display, and files whose bytes depend on the numbers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def figure(width: float, height: float, columns: int = 1) -> Any:
    """Create a Matplotlib figure of this size in inches; returns the figure and its axes."""
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(width, height), layout="constrained")


def save(made: Any, path: Path) -> None:
    """Write a PNG and close the figure."""
    import matplotlib.pyplot as plt

    # No software version or date in the file: the same numbers give the same bytes.
    made.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(made)
