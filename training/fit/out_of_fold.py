"""Out-of-fold predictions: the logits of every fitting speaker from a head that was fitted without them.

Leave-one-group-out cross-validation over speakers (Hastie et al. 2009, "The Elements of Statistical Learning", 7.10). A
handful of calibration speakers is too small a sample to calibrate confidence by, as accuracy differs widely between
speakers; the out-of-fold predictions of all fitting speakers are a larger one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.fit import checkpoint
from training.recipes.recipe import Probe

Float = NDArray[np.float32]
FILE: Final = "out_of_fold.npz"
GROUPS: Final = 5
ROUNDS: Final = 3
"""Augmented rounds that are used: the others add accuracy, and only calibration is wanted here."""


@dataclass(frozen=True)
class OutOfFold:
    """Of `n` clips as they were recorded: logits `[n, labels]`, true labels `[n]` and speakers `[n]`."""

    logits: NDArray[np.float64]
    truth: NDArray[np.int64]
    speakers: NDArray[np.str_]

    def write(self, path: Path) -> None:
        """Raises `UserError` when the disk is full."""
        arrays = {"logits": self.logits, "truth": self.truth, "speakers": self.speakers}
        checkpoint.write_arrays(path, arrays)


def read(path: Path) -> OutOfFold | None:
    """Read the file of a run; None where there is none. Raises `UserError` for a damaged file."""
    if not path.exists():
        return None
    try:
        with np.load(path) as archive:
            return OutOfFold(archive["logits"], archive["truth"], archive["speakers"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read: {error}; remove it, and fit the head again") from None


def predict(
    pooled: Float,
    truth: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    speakers: Sequence[str],
    how: Probe,
    size: int,
) -> OutOfFold | None:
    """Predict every clip by a head that was fitted without its speaker's fold.

    `pooled` float32 `[rounds * n, size]` is clip by clip, the clean round first; `truth` and `weights` `[rounds * n]`;
    `speakers` names the speaker of each of the `n` clips.


    Returns None where no fold can be left out without a label losing its last recording.
    """
    # Not at the top: export and evaluation of a finished run need no training framework here.
    from sklearn.exceptions import ConvergenceWarning

    from training.fit.closed_form import solve

    names, count, group = np.array(speakers), len(speakers), groups(speakers)
    rounds = min(ROUNDS, len(truth) // count)
    kept = slice(0, rounds * count)
    logits = np.full((count, int(truth.max()) + 1), np.nan)
    for number in range(group.max() + 1):
        out = group == number
        rest = np.tile(~out, rounds)
        if set(truth[kept][rest]) != set(truth) or not out.any():
            continue
        with warnings.catch_warnings():
            # Less data takes more steps than `solve` allows; the calibration no longer changes by then.
            warnings.simplefilter("ignore", ConvergenceWarning)
            head = solve(pooled[kept][rest], truth[kept][rest], weights[kept][rest], how, size)
        logits[out] = head.logits(pooled[:count][out])
    done = np.isfinite(logits).all(axis=1)
    return OutOfFold(logits[done], truth[:count][done], names[done]) if done.any() else None


def groups(speakers: Sequence[str]) -> NDArray[np.int64]:
    """Assign each clip's speaker to a fold, int64 `[n]`: the speakers of each corpus in turn, the largest first."""
    counts: dict[str, int] = {}
    for name in speakers:
        counts[name] = counts.get(name, 0) + 1
    # Corpus by corpus, as names begin with it.
    ordered = sorted(counts, key=lambda name: (name.split("/")[0], -counts[name], name))
    place = {name: number % GROUPS for number, name in enumerate(ordered)}
    return np.array([place[name] for name in speakers], np.int64)
