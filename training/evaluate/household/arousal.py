"""Protocol `arousal`: how well the relative arousal tells agitated from calm speech, set by set, and from ordinary."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.inference.relative_head import HIGH_AROUSAL, LOW_AROUSAL
from edge.protocol import LABELS
from training.evaluate.household import rooms
from training.evaluate.household.households import LENGTH, ROOMS, SHARES
from training.metrics import intervals, replay
from training.metrics.classification import area_under_curve
from training.metrics.predictions import Predictions

LEVELS: Final = (-1.0, -0.3, -0.1, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Bounds of the published arousal for which it is said how often speech was agitated."""


def run(bundle: Bundle, found: Predictions, ordinary: Predictions | None) -> list[dict[str, Any]]:
    """Measure how well arousal separates agitated from calm, neutral and ordinary speech; one JSON object per set.

    Raises `BundleError` for a bundle with an absolute head, `UserError` where no set has neutral and agitated speech.
    """
    replay.head_of(bundle)
    talk = (
        []
        if ordinary is None
        else [
            rooms.decide(bundle, ordinary, rooms.permuted(ordinary, room, 1)).decisions
            for room in sorted(set(ordinary.rooms))
        ]
    )
    # A source that ends before its baseline is good says nothing.
    talk = [one for one in talk if len(one.arousal) > rooms.WARM_UP]
    return [_one(bundle, found, room, talk) for room in rooms.sets(found, HIGH_AROUSAL)]


def _one(bundle: Bundle, found: Predictions, room: str, talk: list[replay.Decisions]) -> dict[str, Any]:
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
    usual = np.concatenate([one.arousal[rooms.WARM_UP :] for one in talk]) if talk else None
    return {
        "protocol": "arousal", "bundle": bundle.full_name, "set": room, "n": int(counted.sum()),
        "auc": area_under_curve(score[high], score[low]), "mean_of_speakers": float(np.mean(each)) if each else None,
        "low_95": interval[0], "high_95": interval[1],
        "auc_against_neutral": area_under_curve(score[high], score[truth == 0]),
        "auc_against_ordinary": (
            area_under_curve(score[high], np.concatenate([one.relative_arousal[rooms.WARM_UP :] for one in talk]))
            if talk else None
        ),
        "by_arousal": _by_arousal(published, high, usual),
        "mean_by_label": {LABELS[label]: float(published[truth == label].mean()) for label in np.unique(truth)},
    }  # fmt: skip


def _by_arousal(
    published: NDArray[np.float64], high: NDArray[np.bool_], usual: NDArray[np.float64] | None
) -> list[dict[str, Any]]:
    """How often speech of a published arousal was agitated, and how much ordinary speech has that arousal."""
    rows = []
    for low, top in itertools.pairwise(LEVELS):
        # 1 itself belongs to the last one.
        top_one = np.inf if top == LEVELS[-1] else top
        own = (published >= low) & (published < top_one)
        rows.append({
            "from": low, "to": top, "n": int(own.sum()), "agitated": float(high[own].mean()) if own.any() else None,
            "ordinary": None if usual is None else float(((usual >= low) & (usual < top_one)).mean()),
        })  # fmt: skip
    return rows


def _among(truth: Any, names: tuple[str, ...]) -> Any:
    return np.isin(truth, [LABELS.index(name) for name in names])
