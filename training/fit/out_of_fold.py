"""Out-of-fold predictions: the outputs of every fitting speaker from a head that was fitted without them.

Leave-group-out cross-validation over speakers (Hastie et al. 2009, "The Elements of Statistical Learning", 7.10). A
handful of calibration speakers is too small a sample to calibrate by, as accuracy differs widely between speakers; the
out-of-fold predictions of all fitting speakers are a larger one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.fit import checkpoint
from training.fit.relative import Utterances
from training.networks.head import Solved

Float = NDArray[np.float32]
FILE: Final = "out_of_fold.npz"
BEFORE_FILE: Final = "out_of_fold_before.npz"
"""The same of a head without the recordings that were added to those of a bundle."""
LEFT_OUT: Final = "left_out"
"""In the notes of a run: the source of ordinary speech that neither its head nor its constants may hear."""
FOLDS: Final = 5
ROUNDS: Final = 3
"""Augmented rounds that are used: the others add accuracy, and only calibration is wanted here."""


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of `n` clips as they were recorded, without augmentation."""

    logits: NDArray[np.float64]
    """`[n, labels]`; `[n, 8]` with the arousal of a relative head, against ordinary speech in general."""
    truth: NDArray[np.int64]
    """`[n]`: label indices; -1 for ordinary speech."""
    speakers: NDArray[np.str_]
    rooms: NDArray[np.str_]
    """`[n]`: the corpus, or the place of `emospeech`."""

    def with_rooms_of(self, other: OutOfFold) -> OutOfFold:
        """Return the clips of `other`, and of these those whose room is none of `other`'s."""
        kept = ~np.isin(self.rooms, other.rooms)
        return OutOfFold(
            np.concatenate([self.logits[kept], other.logits]), np.concatenate([self.truth[kept], other.truth]),
            np.concatenate([self.speakers[kept], other.speakers]), np.concatenate([self.rooms[kept], other.rooms]),
        )  # fmt: skip

    def write(self, path: Path) -> None:
        """Write an `.npz`, for `read`. Raises `UserError` when it cannot be written."""
        checkpoint.write_arrays(
            path, {"logits": self.logits, "truth": self.truth, "speakers": self.speakers, "rooms": self.rooms}
        )


def read(path: Path) -> OutOfFold | None:
    """Read the out-of-fold predictions of a run; None where there are none. Raises `UserError` for a damaged file."""
    if not path.exists():
        return None
    try:
        with np.load(path) as archive:
            return OutOfFold(*(archive[name] for name in ("logits", "truth", "speakers", "rooms")))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read: {error}; remove it, and fit the head again") from None


def predict(
    utterances: Utterances, count: int, fit: Callable[[Utterances, NDArray[np.bool_]], Solved]
) -> OutOfFold | None:
    """Predict each of the first `count` utterances, the clean round, by a head fitted without its speaker's fold.

    `fit` makes a head of the utterances that it is passed; its second argument marks them, bool `[n]`. Returns None
    where no fold can be left out without a label losing its last recording.
    """
    rounds = min(ROUNDS, len(utterances.label) // count)
    within = np.arange(len(utterances.label)) < rounds * count
    logits: NDArray[np.float64] | None = None
    done = np.zeros(count, np.bool_)
    for tested in folds(utterances.speaker[:count], utterances.corpus[:count]):
        kept = within & np.tile(~tested, len(utterances.label) // count)
        if set(utterances.label[kept].tolist()) != set(utterances.label.tolist()):
            continue
        found = fit(utterances.take(kept), kept).logits(utterances.pooled[:count][tested])
        logits = np.full((count, found.shape[1]), np.nan) if logits is None else logits
        logits[tested], done = found, done | tested
    if logits is None:
        return None
    return OutOfFold(
        logits[done], utterances.label[:count][done], utterances.speaker[:count][done],
        utterances.corpus[:count][done],
    )  # fmt: skip


def without(
    utterances: Utterances,
    added: NDArray[np.bool_],
    fit: Callable[[Utterances, NDArray[np.bool_]], Solved],
) -> tuple[OutOfFold, Solved] | None:
    """Fit without the clips that were added (bool `[n]`, clean round); return predictions and head.

    The other clips are predicted out-of-fold and come first; then the added ones, by the head of all
    others, which was not fitted to them. `fit` is as in `predict`. Returns None where `predict` does:
    where no fold can be left out without a label losing its last recording.
    """
    count = len(added)
    kept = np.tile(~added, len(utterances.label) // count)
    others = utterances.take(kept)
    found = predict(others, int((~added).sum()), fit)
    if found is None:
        return None
    head = fit(others, kept)
    own = utterances.take(np.concatenate([added, np.zeros(len(utterances.label) - count, np.bool_)]))
    joined = OutOfFold(
        np.concatenate([found.logits, head.logits(own.pooled)]), np.concatenate([found.truth, own.label]),
        np.concatenate([found.speakers, own.speaker]), np.concatenate([found.rooms, own.corpus]),
    )  # fmt: skip
    return joined, head


def folds(
    speakers: Sequence[str] | NDArray[np.str_], corpora: Sequence[str] | NDArray[np.str_]
) -> Iterator[NDArray[np.bool_]]:
    """Yield the clips of each fold, bool `[n]`: whole speakers, those of each corpus spread evenly over the folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(FOLDS, len(set(speakers)))
    if count < 2:
        return
    splitter = StratifiedGroupKFold(count)
    with warnings.catch_warnings():
        # A corpus may have fewer clips than there are folds.
        warnings.simplefilter("ignore", UserWarning)
        for _, tested in splitter.split(np.zeros(len(speakers)), np.array(corpora), np.array(speakers)):
            found = np.zeros(len(speakers), np.bool_)
            found[tested] = True
            yield found
