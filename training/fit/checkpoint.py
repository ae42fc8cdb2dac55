"""The whole state of a run in one file, replaced atomically: a kill at any moment leaves the old or the new one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.util import atomic_file
from edge.util.errors import UserError


def epoch_file(run: Path, epoch: int) -> Path:
    """Return the path of the weights after an epoch of a run."""
    return run / f"epoch-{epoch:02d}.npz"


def history_of(run: Path) -> dict[str, Any]:
    """Read what a run says of itself in `history.json`. Raises `UserError` where it has none that can be read."""
    try:
        history: dict[str, Any] = json.loads((run / "history.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{run}: not the folder of a run with a finished epoch: {error}") from None
    return history


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file atomically and flush it to disk. Raises `UserError` when the disk is full."""
    try:
        atomic_file.write(path, data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array `[...]` of any dtype as `.npy`, replaced atomically. Raises `UserError` when the disk is full."""
    file = io.BytesIO()
    np.save(file, array)
    write_bytes(path, file.getvalue())


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays `[...]` of any dtype as an uncompressed `.npz`, replaced atomically.

    Raises `UserError` when the disk is full.
    """
    try:
        with atomic_file.replacing(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def _arrays(prefix: str, variables: Iterable[Any]) -> dict[str, NDArray[Any]]:
    import keras  # not at the top: export and evaluation of a finished run need no training framework here

    return {f"{prefix}{index:04d}": keras.ops.convert_to_numpy(v) for index, v in enumerate(variables)}


def save(path: Path, model: Any, optimizer: Any, facts: dict[str, Any]) -> None:
    """Save weights, optimiser, the state of the random generators and `facts` (plain JSON) as a checkpoint."""
    arrays = _arrays("model", model.variables) | _arrays("optimizer", optimizer.variables)
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    write_arrays(path, arrays)


def facts_of(path: Path) -> dict[str, Any]:
    """Read only the facts of a checkpoint. Raises `UserError` if the file is no checkpoint."""
    found = facts_in(path)
    if found is None:
        raise UserError(f"{path}: not a checkpoint of a training run: it has no facts")
    return found


def facts_in(path: Path) -> dict[str, Any] | None:
    """Read only the facts of a checkpoint or of weights; None where the file has none.

    Raises `UserError` for a file that is neither.
    """
    try:
        with np.load(path) as archive:
            return json.loads(archive["facts"].tobytes()) if "facts" in archive.files else None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a checkpoint or weights of a training run: {error}") from None


def restore(path: Path, model: Any, optimizer: Any) -> None:
    """Load a checkpoint into a model of the same recipe, its optimiser and the random generators."""
    with np.load(path) as archive:
        for prefix, variables in (("model", model.variables), ("optimizer", optimizer.variables)):
            for index, variable in enumerate(variables):
                variable.assign(archive[f"{prefix}{index:04d}"])


def save_weights(path: Path, weights: Sequence[NDArray[Any]], facts: dict[str, Any] | None = None) -> None:
    """Save the weights of a finished epoch, float32 `[...]`, in the order of `network.weights`.

    `facts` (plain JSON) are what `facts_of` reads. Raises `UserError` when the disk is full.
    """
    arrays = {f"weight{index:04d}": array for index, array in enumerate(weights)}
    if facts is not None:
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    write_arrays(path, arrays)


def load_weights(path: Path) -> list[NDArray[Any]]:
    """Load the weights that `save_weights` has written, float32 `[...]`, in the same order.

    Raises `UserError` for any other file.
    """
    try:
        with np.load(path) as archive:
            return [archive[name] for name in sorted(archive.files) if name != "facts"]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}") from None
