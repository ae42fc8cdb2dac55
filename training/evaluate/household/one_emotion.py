"""Protocol `one-emotion`: what the baseline costs where a room says 200 utterances of a single label in a row.

The worst case of a baseline that uses no labels: a room that is angry all day becomes its own normal. Measured after
500 ordinary utterances, and from the first minute, against a baseline that stopped learning after the ordinary ones.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from training.evaluate.household import rooms
from training.metrics import intervals, replay
from training.metrics.classification import points
from training.metrics.predictions import Predictions

BEFORE: Final = 500
LENGTH: Final = replay.ONE_EMOTION_LENGTH
ORDERS: Final = 3


def run(bundle: Bundle, found: Predictions, orders: int = ORDERS) -> dict[str, Any]:
    """Measure what a long run of one emotion costs after 500 ordinary utterances and from the start; one JSON object.

    Losses are in percentage points. Raises `BundleError` for a bundle with an absolute head, and `UserError` where
    no set has both neutral and emotional speech.
    """
    head = replay.head_of(bundle)
    owner = np.array(found.rooms)
    days: list[dict[str, Any]] = []
    lost, speakers = [], []
    for room in rooms.sets(found):
        neutral = np.flatnonzero((owner == room) & (found.truth <= 0))
        for label in range(1, len(LABELS)):
            own = np.flatnonzero((owner == room) & (found.truth == label))
            if not own.size:
                continue
            for order in range(orders):
                random = np.random.default_rng([replay.SEED, order, label, len(days)])
                ordinary, day = replay.repeat(neutral, random, BEFORE), replay.repeat(own, random)
                hits = _day(found, head, ordinary, day)
                days.append(
                    {"label": LABELS[label], "room": room}
                    | {name: float(each.mean()) for name, each in hits.items()}
                )
                lost.append(hits["fixed"].astype(float) - hits["learning"])
                speakers.append(np.array(found.speakers)[day])
    pairs = sorted({(day["label"], day["room"]) for day in days})
    each = {pair: _mean([day for day in days if (day["label"], day["room"]) == pair]) for pair in pairs}
    worst = max(pairs, key=lambda pair: float(each[pair]["loss"]))
    labels = {label: _mean([day for day in days if day["label"] == label]) for label in LABELS[1:]
              if any(day["label"] == label for day in days)}  # fmt: skip
    return {
        "protocol": "one-emotion", "bundle": bundle.full_name, "n": LENGTH * len(days), "before": BEFORE,
        "length": LENGTH, "orders": orders, **_mean(days),
        **_interval(np.concatenate(lost), np.concatenate(speakers)),
        "worst": {"label": worst[0], "room": worst[1], "loss": each[worst]["loss"]}, "per_label": labels,
    }  # fmt: skip


def _day(
    found: Predictions, head: Any, ordinary: NDArray[np.intp], own: NDArray[np.intp]
) -> dict[str, NDArray[np.bool_]]:
    """Which of the 200 utterances are rightly named, bool `[200]`."""
    before = Baseline(head.baseline)
    replay.replay(head, found.outputs[ordinary], found.enough_speech[ordinary], baseline=before)
    frozen = np.zeros(len(own), np.bool_)
    start = before.to_state()
    truth, outputs, enough_speech = found.truth[own], found.outputs[own], found.enough_speech[own]
    fixed = replay.replay(head, outputs, enough_speech, baseline=before, learn=frozen).labels
    before.restore(start)
    learning = replay.replay(head, outputs, enough_speech, baseline=before).labels
    first = replay.replay(head, outputs, enough_speech).labels
    return {"fixed": fixed == truth, "learning": learning == truth, "from_first": first == truth}


def _interval(lost: NDArray[np.float64], speakers: NDArray[np.str_]) -> dict[str, float]:
    """95 % interval of the loss in points, drawing whole speakers, whatever they said."""
    names, place = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        return {"loss_low_95": -100.0, "loss_high_95": 100.0}
    sums = np.zeros((len(names), 2))
    np.add.at(sums, place, np.stack([lost, np.ones(len(lost))], axis=1))
    low, high = intervals.bootstrap(sums, lambda total: total[..., 0] / np.maximum(total[..., 1], 1.0), 2000)
    return {"loss_low_95": points(low), "loss_high_95": points(high)}


def _mean(days: list[dict[str, Any]]) -> dict[str, float]:
    mean = {key: float(np.mean([day[key] for day in days])) for key in ("fixed", "learning", "from_first")}
    return mean | {
        "loss": points(mean["fixed"] - mean["learning"]),
        "loss_from_first": points(mean["fixed"] - mean["from_first"]),
    }
