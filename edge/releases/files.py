"""Files that are whole after a power cut: written beside, synchronised, renamed, and the folder synchronised too.

`step` is told a name before and after everything that reaches the disk. Progress is made of it, and the test that
cuts the power between every two steps finds its points there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edge.util.atomic_file import synchronise

Step = Callable[[str], None]


def no_step(_name: str) -> None:
    """Nobody wants to know."""


def replace(path: Path, data: bytes, step: Step, what: str) -> None:
    """All of it or nothing, readable for all. Raises `OSError`; the old file is then still there."""
    beside = path.with_name(f".{path.name}.new")
    step(f"{what}: before writing")
    with beside.open("wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)
        file.flush()
        step(f"{what}: written")
        os.fsync(file.fileno())
    step(f"{what}: synchronised")
    beside.replace(path)
    step(f"{what}: renamed")
    synchronise(path.parent)
    step(f"{what}: done")
