"""Protocol `ordinary`: how often ordinary speech, which is not acted, is called an emotion.

Every source is a room; its utterances come in random orders, each decided with a baseline of those before it. A source
of synthetic voices is reported apart, and counts neither in the pooled share nor as the worst source.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.evaluate.household import rooms
from training.metrics import intervals
from training.metrics.predictions import Predictions

ORDERS: Final = 5
SYNTHETIC: Final = "synthetic"
LENGTHS_MS: Final = (0, 500, 1000, 2000, 4000, 60_000)


def run(bundle: Bundle, found: Predictions) -> dict[str, Any]:
    """Measure how often ordinary speech is called an emotion: by source, by length, pooled, worst; one JSON object.

    Raises `UserError` where there is none but that of synthetic voices.
    """
    sources, parts, without = {}, [], []
    for room in sorted(set(found.rooms)):
        drawn = rooms.permuted(found, room, ORDERS)
        made = rooms.decide(bundle, found, drawn)
        total = len(made.places) // ORDERS
        counted = made.position >= min(rooms.WARM_UP, total // 3)
        unadapted = (rooms.decide(bundle, found, drawn, baseline=False).decisions.labels > 0)[counted]
        sources[room] = _shares(found, made, counted) | {
            "called_without_baseline": float(unadapted.mean()), "utterances": total,
        }  # fmt: skip
        if room != SYNTHETIC:
            parts.append((made, counted))
            without.append(unadapted)
    if not parts:
        raise UserError(
            "no utterance of ordinary speech but that of synthetic voices: is there any in the recordings?"
        )
    places = np.concatenate([made.places for made, _ in parts])
    called = np.concatenate([made.decisions.labels > 0 for made, _ in parts])
    counted = np.concatenate([mask for _, mask in parts])
    speakers = np.array(found.speakers)[places]
    low, high = intervals.of_share(called[counted], speakers[counted])
    people = {name: one for name, one in sources.items() if name != SYNTHETIC}
    worst = max(people, key=lambda name: float(people[name]["called"]))
    return {
        "protocol": "ordinary", "bundle": bundle.full_name, "n": len(places) // ORDERS, "orders": ORDERS,
        "called": float(called[counted].mean()), "low_95": low, "high_95": high,
        "called_from_first": float(called.mean()),
        "called_an_hour": _an_hour(found, places[counted], called[counted]),
        "called_without_baseline": float(np.concatenate(without).mean()),
        "mean_of_sources": float(np.mean([one["called"] for one in people.values()])),
        "worst": {"source": worst, "called": people[worst]["called"]}, "sources": sources,
        "by_length": _by_length(found, places[counted], called[counted]),
    }  # fmt: skip


def _shares(found: Predictions, made: rooms.Rooms, counted: NDArray[np.bool_]) -> dict[str, Any]:
    labels = made.decisions.labels
    speakers = np.array(found.speakers)[made.places]
    low, high = intervals.of_share((labels > 0)[counted], speakers[counted], draws=500)
    first_low, first_high = intervals.of_share(labels > 0, speakers, draws=500)
    return {
        "called": float((labels > 0)[counted].mean()), "low_95": low, "high_95": high,
        "called_from_first": float((labels > 0).mean()),
        "from_first_low_95": first_low, "from_first_high_95": first_high,
        "called_an_hour": _an_hour(found, made.places[counted], (labels > 0)[counted]),
        "uncertain": float((labels == -1)[counted].mean()),
        "as": {LABELS[label]: float((labels == label)[counted].mean()) for label in range(1, len(LABELS))},
    }  # fmt: skip


def _an_hour(found: Predictions, places: NDArray[np.intp], called: NDArray[np.bool_]) -> float | None:
    """How many utterances are called an emotion in an hour of speech; None where lengths are not known."""
    if not found.speech_ms.size:
        return None
    return float(called.sum()) / (float(found.speech_ms[places].sum()) / 3_600_000)


def _by_length(
    found: Predictions, places: NDArray[np.intp], called: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    milliseconds = found.speech_ms[places]
    rows = []
    for low, high in itertools.pairwise(LENGTHS_MS):
        own = (milliseconds >= low) & (milliseconds < high)
        if own.any():
            rows.append(
                {"from_ms": low, "to_ms": high, "n": int(own.sum()), "called": float(called[own].mean())}
            )
    return rows
