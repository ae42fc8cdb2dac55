"""Temperature and threshold, on speakers that neither fitted the weights nor are tested.

Temperature scaling: Guo et al. 2017 (arXiv 1706.04599). It keeps the logits linear in the embedding, so the device can
still adapt to its room.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.model.bundle import Bundle
from training import metrics
from training.predict import Predictions, softmax

LOWEST, HIGHEST = 0.3, 5.0
COVERAGE = 0.85
"""Of the utterances of each calibration speaker."""
FEWEST = 20
"""Clips of a speaker whose own temperature means something."""


def temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature of 0.3 to 5 with the least negative log-likelihood; every label counts the same."""
    weights = 1.0 / np.bincount(truth, minlength=logits.shape[1])[truth]
    candidates = np.exp(np.linspace(np.log(LOWEST), np.log(HIGHEST), 400))
    rows = np.arange(len(truth))
    losses = [
        -float(np.average(np.log(np.maximum(softmax(logits / t)[rows, truth], 1e-12)), weights=weights))
        for t in candidates
    ]
    return round(float(candidates[int(np.argmin(losses))]), 4)


def threshold(probabilities: NDArray[np.float64], coverage: float = COVERAGE) -> float:
    """The confidence that so many of the utterances reach."""
    return round(float(np.quantile(probabilities.max(axis=1), 1.0 - coverage)), 4)


def threshold_for_strangers(found: Predictions, temperature: float, coverage: float = COVERAGE) -> float:
    """The confidence that so many of the utterances of each calibration speaker reach."""
    parts = [part for part in _speakers(found) if len(part.truth) >= FEWEST] or [found]
    return min(threshold(part.probabilities(temperature), coverage) for part in parts)


def _speakers(found: Predictions) -> list[Predictions]:
    speakers = np.array(found.speakers)
    return [found.take(np.flatnonzero(speakers == name)) for name in sorted(set(found.speakers))]


def reliability(bundle: Bundle, found: Predictions) -> dict[str, Any]:
    """Temperature, threshold and the 15 bins of the reliability diagram as plain JSON values."""
    manifest = bundle.manifest
    shares = found.probabilities(manifest.temperature)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == found.truth
    return {
        "temperature": manifest.temperature, "abstain_below": manifest.abstain_below,
        "reliability": metrics.reliability(confidence, right),
    }  # fmt: skip
