"""Temperature and threshold, chosen on speakers that are in neither the fitting nor the test list.

Temperature scaling: Guo et al. 2017 (arXiv 1706.04599). It keeps the logits linear in the embedding, so the device can
still adapt to its room.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from training.fit.out_of_fold import OutOfFold
from training.metrics import classification as metrics
from training.metrics import replay
from training.metrics.predictions import Predictions, softmax

LOWEST, HIGHEST = 0.3, 5.0
COVERAGE = 0.9
"""Share of utterances of unseen speakers that get an answer; in use, about four fifths then do."""


def temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Choose the temperature of 0.3 to 5 with the least negative log-likelihood; every label counts the same.

    `logits` `[n, labels]`, `truth` `[n]` (label indices)."""
    weights = 1.0 / np.bincount(truth, minlength=logits.shape[1])[truth]
    candidates = np.exp(np.linspace(np.log(LOWEST), np.log(HIGHEST), 400))
    rows = np.arange(len(truth))
    losses = [
        -float(np.average(np.log(np.maximum(softmax(logits / t)[rows, truth], 1e-12)), weights=weights))
        for t in candidates
    ]
    return round(float(candidates[int(np.argmin(losses))]), 4)


def threshold(
    probabilities: NDArray[np.float64], weights: NDArray[np.float64] | None = None, coverage: float = COVERAGE
) -> float:
    """Return the confidence that a share `coverage` of the utterances reach.

    `probabilities` are float64 `[n, labels]`; `weights`, float64 `[n]`, say how much each utterance counts, None: all
    the same.
    """
    confidence = probabilities.max(axis=1)
    weights = np.ones(len(confidence)) if weights is None else weights
    order = np.argsort(confidence)
    below = np.cumsum(weights[order]) / weights.sum()
    return round(float(confidence[order][np.searchsorted(below, 1.0 - coverage)]), 4)


def choose(found: Predictions, left_out: OutOfFold | None) -> tuple[float, float]:
    """Choose temperature and threshold, so that `COVERAGE` of the utterances of unseen speakers are answered.

    `found` are the bundle's predictions of the calibration speakers; `left_out` the out-of-fold predictions of the
    fitting speakers. Every speaker counts the same in the threshold.
    """
    logits, truth, speakers = found.logits, found.truth, np.array(found.speakers)
    if left_out is not None:
        logits = np.concatenate([logits, left_out.logits])
        truth = np.concatenate([truth, left_out.truth])
        speakers = np.concatenate([speakers, left_out.speakers])
    chosen = temperature(logits, truth)
    _, places, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    return chosen, threshold(softmax(logits / chosen), 1.0 / counts[places])


def reliability(bundle: Bundle, found: Predictions) -> dict[str, Any]:
    """Temperature, threshold and the 15 bins of the reliability diagram as plain JSON values."""
    manifest = bundle.manifest
    shares = replay.without_baseline(bundle, found)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == found.truth
    return {
        "temperature": manifest.temperature, "abstain_below": manifest.abstain_below,
        "reliability": metrics.reliability(confidence, right),
    }  # fmt: skip
