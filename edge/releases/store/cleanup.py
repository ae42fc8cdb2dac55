"""What is removed from the model store: leftovers of interrupted writes, and what the state no longer refers to."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from edge.releases.store.state import INCOMING, SLOTS, State
from edge.util.atomic_file import Step


def remove_leftovers(folder: Path) -> None:
    """Remove files and folders of interrupted writes. Raises nothing."""
    for left in [*folder.glob(".*.new"), *folder.glob(f"{SLOTS}/.*"), *folder.glob("*/*.new")]:
        remove(left)


def remove_unreferenced(folder: Path, now: State, step: Step) -> None:
    """Remove slots and archives that the state does not refer to. Raises nothing but what `step` does."""
    candidate = now.candidate.slot if now.candidate is not None else None
    kept = {slot.folder for slot in (now.current, now.previous, candidate) if slot is not None}
    for found in (folder / SLOTS).iterdir():
        if found.name not in kept:
            step("cleanup: slot")
            remove(found)
    # An archive that was unpacked is no longer needed.
    if now.candidate is not None and now.candidate.stage not in ("selected", "downloaded"):
        candidate = None
    for found in (folder / INCOMING).iterdir():
        if candidate is None or found.name.partition(".")[0] != candidate.target_sha256:
            step("cleanup: archive")
            remove(found)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; errors are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
