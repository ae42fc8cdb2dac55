"""Protocol `arousal`: how well the relative arousal tells agitated from calm speech, set by set, and from ordinary."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.inference.bundle import Bundle
from edge.inference.relative_head import HIGH_AROUSAL, LOW_AROUSAL
from edge.protocol import LABELS
from training.evaluate.household import rooms
from training.evaluate.household.households import LENGTH, ROOMS, SHARES
from training.metrics import intervals, replay
from training.metrics.classification import area_under_curve
from training.metrics.predictions import Predictions


def run(bundle: Bundle, found: Predictions, ordinary: Predictions | None) -> list[dict[str, Any]]:
    """Measure how well arousal separates agitated from calm, neutral and ordinary speech; one JSON object per set.

    Raises `BundleError` for a bundle with an absolute head.
    """
    replay.head_of(bundle)
    talk = (
        []
        if ordinary is None
        else [
            rooms.decide(bundle, ordinary, rooms.permuted(ordinary, room, 1)).decisions.relative_arousal[
                rooms.WARM_UP :
            ]
            for room in sorted(set(ordinary.rooms))
        ]
    )
    return [_one(bundle, found, room, talk) for room in sorted(set(found.rooms))]


def _one(bundle: Bundle, found: Predictions, room: str, talk: list[Any]) -> dict[str, Any]:
    drawn = rooms.household(found, room, SHARES[0], rooms=ROOMS, length=LENGTH)
    made = rooms.decide(bundle, found, drawn)
    counted = made.position >= rooms.WARM_UP
    truth, score = np.maximum(found.truth[made.places], 0)[counted], made.decisions.relative_arousal[counted]
    speakers = np.array(found.speakers)[made.places][counted]
    high, low = _among(truth, HIGH_AROUSAL), _among(truth, LOW_AROUSAL)
    names = np.unique(speakers)
    each = []
    for name in names:
        own = speakers == name
        if (high & own).any() and (low & own).any():
            each.append(area_under_curve(score[high & own], score[low & own]))
    interval = (
        intervals.bootstrap(np.array(each)[:, None], lambda sums: sums[..., 0] / len(each), 2000)
        if len(each) > 1
        else (0.0, 1.0)
    )
    published = made.decisions.arousal[counted]
    return {
        "protocol": "arousal", "bundle": bundle.full_name, "set": room, "n": int(counted.sum()),
        "auc": area_under_curve(score[high], score[low]), "mean_of_speakers": float(np.mean(each)) if each else None,
        "low_95": interval[0], "high_95": interval[1],
        "auc_against_neutral": area_under_curve(score[high], score[truth == 0]),
        "auc_against_ordinary": area_under_curve(score[high], np.concatenate(talk)) if talk else None,
        "mean_by_label": {LABELS[label]: float(published[truth == label].mean()) for label in np.unique(truth)},
    }  # fmt: skip


def _among(truth: Any, names: tuple[str, ...]) -> Any:
    return np.isin(truth, [LABELS.index(name) for name in names])
