"""What is removed from the store of models: what a power cut has left half made, and what nothing refers to."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from edge.releases.state import INCOMING, SLOTS, State
from edge.util.atomic_file import Step


def leftovers(folder: Path) -> None:
    """Files and folders that were being written. Raises nothing."""
    for left in [*folder.glob(".*.new"), *folder.glob(f"{SLOTS}/.*"), *folder.glob("*/*.new")]:
        remove(left)


def prune(folder: Path, now: State, step: Step) -> None:
    """Slots and archives that the state does not name. Raises nothing but what `step` does."""
    candidate = now.candidate.slot if now.candidate is not None else None
    wanted = {slot.folder for slot in (now.current, now.previous, candidate) if slot is not None}
    for found in (folder / SLOTS).iterdir():
        if found.name not in wanted:
            step("prune: slot")
            remove(found)
    # An archive that is unpacked is of no more use.
    if now.candidate is not None and now.candidate.stage not in ("wanted", "staged"):
        candidate = None
    for found in (folder / INCOMING).iterdir():
        if candidate is None or found.name.partition(".")[0] != candidate.target_sha256:
            step("prune: archive")
            remove(found)


def remove(path: Path) -> None:
    """A file or a whole folder, if it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
