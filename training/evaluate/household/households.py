"""Protocol `household`: rooms where most of what is said is neutral, of the labelled utterances of one set.

What counts at home: how many emotional utterances are rightly named, how much neutral speech is left alone, and how
often a label is right when it is given, at the operating point of the bundle.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from training.evaluate.household import rooms
from training.evaluate.household.ordinary import LENGTHS_MS
from training.metrics import classification, intervals
from training.metrics.predictions import Predictions

SHARES: Final = (0.85, 0.95, 0.70)
"""Of neutral utterances; the first is the one that is quoted."""
ROOMS: Final = 20
LENGTH: Final = 220
POSITIONS: Final = (0, 10, 20, 50, LENGTH)


def run(bundle: Bundle, found: Predictions) -> list[dict[str, Any]]:
    """Measure named and kept shares in rooms of mostly neutral speech; one JSON object per set and share of neutral.

    Raises `UserError` where no set has both neutral and emotional speech.
    """
    return [_one(bundle, found, room, share) for room in rooms.sets(found) for share in SHARES]


def at_home(bundle: Bundle, found: Predictions) -> dict[str, dict[str, float]]:
    """Return the shares `named` and `kept` of each set, in rooms of `SHARES[0]` neutral speech.

    For clips that were all changed alike, by the echo of one room or by noise: the baseline learns there, too. A set
    without neutral or without emotional clips is left out.
    """
    shares = {}
    for room in sorted(set(found.rooms)):
        emotional = found.truth[np.array(found.rooms) == room] > 0
        if emotional.any() and not emotional.all():
            one = _one(bundle, found, room, SHARES[0])
            shares[room] = {name: one[name]["share"] for name in ("named", "kept")}
    return shares


def _one(bundle: Bundle, found: Predictions, room: str, share: float) -> dict[str, Any]:
    drawn = rooms.household(found, room, share, rooms=ROOMS, length=LENGTH)
    made = rooms.decide(bundle, found, drawn)
    counted = made.position >= rooms.WARM_UP
    truth, labels = np.maximum(found.truth[made.places], 0), made.decisions.labels
    speakers = np.array(found.speakers)[made.places]
    emotional, neutral = counted & (truth > 0), counted & (truth == 0)
    named = labels == truth
    unadapted = rooms.decide(bundle, found, drawn, baseline=False).decisions.labels
    probabilities = made.decisions.probabilities[counted]
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth[counted]
    return {
        "protocol": "household", "bundle": bundle.full_name, "set": room, "neutral_share": share,
        "n": int(counted.sum()), "rooms": ROOMS,
        "named": _share(named[emotional], speakers[emotional]),
        "kept": _share((labels <= 0)[neutral], speakers[neutral]),
        "without_baseline": {
            "named": float((unadapted == truth)[emotional].mean()),
            "kept": float((unadapted <= 0)[neutral].mean()),
        },
        "called_neutral": float((labels == 0)[neutral].mean()),
        "called_emotional": float((labels > 0)[emotional].mean()),
        "ece": classification.expected_calibration_error(confidence, right),
        "per_class": {
            LABELS[label]: _per_class(labels[counted], truth[counted], label) for label in np.unique(truth)
        },
        "by_length": (
            _by_length(found.speech_ms[made.places[counted]], truth[counted], labels[counted])
            if found.speech_ms.size
            else []
        ),
        "kept_by_position": _by_position(made.position, truth == 0, labels <= 0),
        "named_by_position": _by_position(made.position, truth > 0, named),
    }  # fmt: skip


def _share(hits: NDArray[np.bool_], speakers: NDArray[np.str_]) -> dict[str, float]:
    low, high = intervals.of_share(hits, speakers)
    return {"share": float(hits.mean()), "low_95": low, "high_95": high}


def _per_class(labels: NDArray[np.int64], truth: NDArray[np.int64], label: int) -> dict[str, Any]:
    given, own = labels == label, truth == label
    return {
        "n": int(own.sum()), "given": int(given.sum()),
        "precision": float(own[given].mean()) if given.any() else None, "recall": float(given[own].mean()),
    }  # fmt: skip


def _by_length(
    milliseconds: NDArray[np.int64], truth: NDArray[np.int64], labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Named and kept by length of speech, where there is any of that length."""
    rows = []
    for low, high in itertools.pairwise(LENGTHS_MS):
        own = (milliseconds >= low) & (milliseconds < high)
        emotional, neutral = own & (truth > 0), own & (truth == 0)
        if own.any():
            rows.append({
                "from_ms": low, "to_ms": high, "emotional": int(emotional.sum()), "neutral": int(neutral.sum()),
                "named": float((labels == truth)[emotional].mean()) if emotional.any() else None,
                "kept": float((labels <= 0)[neutral].mean()) if neutral.any() else None,
            })  # fmt: skip
    return rows


def _by_position(
    position: NDArray[np.int64], counted: NDArray[np.bool_], hits: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    rows = []
    for low, high in itertools.pairwise(POSITIONS):
        own = counted & (position >= low) & (position < high)
        rows.append({"from": low, "to": high, "share": float(hits[own].mean()) if own.any() else None})
    return rows
