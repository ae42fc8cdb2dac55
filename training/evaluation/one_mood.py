"""One mood for a day: what adaptation costs where a room says 200 utterances of a single label in a row.

The worst case of a mean without labels: the room is new, nothing balances what it hears, and the mood itself is taken
for the room's neutral. Measured twice: on those utterances, and afterwards on everything else that is said in that
room, with the mean as that day has left it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract import LABELS
from edge.model.bundle import Bundle
from training.evaluation import adaptation, measures
from training.predict import Predictions, softmax

LENGTH = 200


def run(bundle: Bundle, found: Predictions, orders: int = adaptation.ORDERS) -> dict[str, Any]:
    """One object; its measures are of the adapted decisions. Losses in percentage points. Raises `BundleError`."""
    head, manifest = adaptation.Head.of(bundle), bundle.manifest
    rooms, names = np.array(found.rooms), sorted(set(found.rooms))
    days: list[NDArray[np.intp]] = []
    logits, after = [], []
    per_label: dict[str, dict[str, list[float]]] = {}
    for label_index, label in enumerate(LABELS):
        entry = per_label.setdefault(label, {"plain": [], "adapted": [], "loss_after": []})
        for room_index, room in enumerate(names):
            own = np.flatnonzero((rooms == room) & (found.truth == label_index))
            rest = np.flatnonzero((rooms == room) & (found.truth != label_index))
            if not own.size:
                continue
            for repetition in range(orders):
                day = _day(own, np.random.default_rng([adaptation.SEED, repetition, room_index, label_index]))
                heard, shift = adaptation.hear(found, head, day)
                days.append(day)
                logits.append(heard)
                entry["plain"].append(_accuracy(found.logits[day], found.truth[day]))
                entry["adapted"].append(_accuracy(heard, found.truth[day]))
                if rest.size:
                    before = _accuracy(found.logits[rest], found.truth[rest])
                    after.append(
                        before - _accuracy(found.logits[rest] + shift @ head.kernel, found.truth[rest])
                    )
                    entry["loss_after"].append(after[-1])
    table = {label: _label(entry) for label, entry in per_label.items() if entry["plain"]}
    spoken = found.take(np.concatenate(days))
    shares = softmax(np.concatenate(logits) / manifest.temperature)
    plain = measures.shares_of(spoken.probabilities(manifest.temperature), spoken, manifest.abstain_below)
    worst = max(table, key=lambda label: float(table[label]["loss"]))
    losses = [entry["loss"] for entry in table.values()]
    return {
        "protocol": "one-mood", "bundle": bundle.full_name, "adapt": "room",
        **measures.shares_of(shares, spoken, manifest.abstain_below),
        "orders": orders, "length": LENGTH,
        "plain": {key: plain[key] for key in measures.MAIN},
        "loss": round(float(np.mean(losses)), 2),
        "worst": {"label": worst, "loss": table[worst]["loss"]},
        "loss_after": measures.points(float(np.mean(after))) if after else None,
        "per_label": table,
    }  # fmt: skip


def _day(own: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    """200 places; where there are fewer recordings of that mood, each is said again in another order."""
    rounds = -(-LENGTH // own.size)
    return np.concatenate([random.permutation(own) for _ in range(rounds)])[:LENGTH]


def _accuracy(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float((logits.argmax(axis=1) == truth).mean())


def _label(entry: dict[str, list[float]]) -> dict[str, Any]:
    plain, heard = float(np.mean(entry["plain"])), float(np.mean(entry["adapted"]))
    after = entry["loss_after"]
    return {
        "plain": plain, "adapted": heard, "loss": measures.points(plain - heard),
        "loss_after": measures.points(float(np.mean(after))) if after else None,
    }  # fmt: skip
