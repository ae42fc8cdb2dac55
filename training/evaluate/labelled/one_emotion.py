"""One mood for a day: what adaptation costs where a room says 200 utterances of a single label in a row.

The worst case of a mean without labels: the room is new, nothing balances what it hears, and the mood itself is taken
for the room's neutral. Measured twice: on those utterances, and afterwards on everything else that is said in that
room, with the mean as that day has left it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle
from edge.protocol.messages import LABELS
from training.evaluate.labelled import measures
from training.metrics import baseline_replay
from training.metrics.predictions import Predictions, softmax

Float = NDArray[np.float64]
LENGTH = baseline_replay.ONE_EMOTION_LENGTH


@dataclass(frozen=True)
class Day:
    """One room's day of one mood."""

    label: str
    room: str
    places: NDArray[np.intp]
    """Of the utterances, in order."""
    logits: Float
    """Adapted, `[200, labels]`."""
    plain: float
    adapted: float
    loss_after: float | None
    """Accuracy lost on everything else in that room, with the mean as the day has left it."""

    @property
    def loss(self) -> float:
        """Accuracy lost on the utterances of that day."""
        return self.plain - self.adapted


def run(bundle: Bundle, found: Predictions, orders: int = baseline_replay.ORDERS) -> dict[str, Any]:
    """One object; its measures are of the adapted decisions. Losses in percentage points. Raises `BundleError`."""
    manifest = bundle.manifest
    days = list(_days(found, Baseline.from_bundle(bundle), orders))
    spoken = found.take(np.concatenate([day.places for day in days]))
    shares = softmax(np.concatenate([day.logits for day in days]) / manifest.temperature)
    plain = measures.shares_of(spoken.probabilities(manifest.temperature), spoken, manifest.abstain_below)
    labels = {label: _summary([day for day in days if day.label == label]) for label in _in_order(days)}
    pairs = {(day.label, day.room) for day in days}
    each = {pair: _summary([day for day in days if (day.label, day.room) == pair]) for pair in pairs}
    worst = max(sorted(each), key=lambda pair: float(each[pair]["loss"]))
    return {
        "protocol": "one-emotion", "bundle": bundle.full_name, "adapt": "baseline",
        **measures.shares_of(shares, spoken, manifest.abstain_below),
        "orders": orders, "length": LENGTH, "plain": {key: plain[key] for key in measures.MAIN},
        "loss": _summary(days)["loss"], "loss_after": _summary(days)["loss_after"],
        "worst": {"label": worst[0], "room": worst[1], "loss": each[worst]["loss"]},
        "per_label": labels,
    }  # fmt: skip


def _days(found: Predictions, baseline: Baseline, orders: int) -> Iterator[Day]:
    rooms = np.array(found.rooms)
    for label_index, label in enumerate(LABELS):
        for room_index, room in enumerate(sorted(set(found.rooms))):
            own = np.flatnonzero((rooms == room) & (found.truth == label_index))
            rest = np.flatnonzero((rooms == room) & (found.truth != label_index))
            for repetition in range(orders if own.size else 0):
                places = baseline_replay.repeat(
                    own, np.random.default_rng([baseline_replay.SEED, repetition, room_index, label_index])
                )
                heard = baseline_replay.hear(found.logits, baseline, places)
                plain, truth = found.logits, found.truth
                after = _accuracy(plain[rest], truth[rest]) - _accuracy(
                    plain[rest] + baseline.shift, truth[rest]
                )
                yield Day(
                    label, room, places, heard, _accuracy(plain[places], truth[places]),
                    _accuracy(heard, truth[places]), after if rest.size else None,
                )  # fmt: skip


def _accuracy(logits: Float, truth: NDArray[np.int64]) -> float:
    return float((logits.argmax(axis=1) == truth).mean()) if truth.size else 0.0


def _in_order(days: Sequence[Day]) -> list[str]:
    return list(dict.fromkeys(day.label for day in days))


def _summary(days: Sequence[Day]) -> dict[str, Any]:
    plain, heard = (float(np.mean([getattr(day, name) for day in days])) for name in ("plain", "adapted"))
    after = [day.loss_after for day in days if day.loss_after is not None]
    return {
        "plain": plain, "adapted": heard, "loss": measures.points(plain - heard),
        "loss_after": measures.points(float(np.mean(after))) if after else None,
    }  # fmt: skip
