"""Two bundles in the same simulated rooms: ordinary speech called an emotion, emotions rightly named, neutral kept.

Both hear the same utterances in the same order, each with a baseline of its own; a draw of speakers counts for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.evaluate.evaluator import Evaluator
from training.evaluate.household import households, ordinary, rooms
from training.metrics import intervals
from training.metrics.classification import points
from training.metrics.predictions import Predictions

PROTOCOLS: Final = ("ordinary", "household")
DRAWS: Final = 4000
FIRST: Final = 10
"""Utterances of a new room, whose baseline is not known yet."""
Hits = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Of the old and the new bundle, `[n]`."""


def rows(evaluators: Sequence[Evaluator], protocol: str, seed: int) -> list[dict[str, Any]]:
    """Compare two bundles in household terms: one row for `ordinary`, one for each set of `household`.

    Raises `UserError` where recordings are missing.
    """
    found = [one.utterances("ordinary" if protocol == "ordinary" else "labelled") for one in evaluators]
    if found[0].names != found[1].names:
        raise UserError("the two bundles do not hear the same utterances")
    make = _ordinary if protocol == "ordinary" else _household
    return list(make(evaluators, found, seed))


def _ordinary(
    evaluators: Sequence[Evaluator], found: Sequence[Predictions], seed: int
) -> Iterable[dict[str, Any]]:
    sources = [name for name in sorted(set(found[0].rooms)) if name != ordinary.SYNTHETIC]
    called: list[list[NDArray[np.bool_]]] = [[], []]
    places: list[NDArray[np.intp]] = []
    for name in sources:
        drawn = rooms.permuted(found[0], name, ordinary.ORDERS)
        for held, one, utterances in zip(called, evaluators, found, strict=True):
            made = rooms.decide(one.bundle, utterances, drawn)
            counted = made.position >= min(rooms.WARM_UP, len(drawn[0]) // 3)
            held.append((made.decisions.labels > 0)[counted])
        places.append(made.places[counted])
    joined = np.concatenate(places)
    hits = (np.concatenate(called[0]), np.concatenate(called[1]))
    yield _row(("ordinary", ""), found[0], joined, {"called": (hits, np.ones(len(joined), np.bool_))}, seed)


def _household(
    evaluators: Sequence[Evaluator], found: Sequence[Predictions], seed: int
) -> Iterable[dict[str, Any]]:
    for name in rooms.sets(found[0]):
        drawn = rooms.household(
            found[0], name, households.SHARES[0], rooms=households.ROOMS, length=households.LENGTH
        )
        made = [
            rooms.decide(one.bundle, utterances, drawn)
            for one, utterances in zip(evaluators, found, strict=True)
        ]
        counted = made[0].position >= rooms.WARM_UP
        truth = np.maximum(found[0].truth[made[0].places], 0)
        old, new = (one.decisions.labels for one in made)
        measures = {
            "named": ((old == truth, new == truth), counted & (truth > 0)),
            "kept": ((old <= 0, new <= 0), counted & (truth == 0)),
            "kept_first": ((old <= 0, new <= 0), (made[0].position < FIRST) & (truth == 0)),
        }
        yield _row(("household", name), found[0], made[0].places, measures, seed)


def _row(
    name: tuple[str, str],
    found: Predictions,
    places: NDArray[np.intp],
    measures: dict[str, tuple[Hits, NDArray[np.bool_]]],
    seed: int,
) -> dict[str, Any]:
    """Of protocol and condition; each measure: hits of both bundles, and which utterances count."""
    speakers = np.array(found.speakers)[places]
    row: dict[str, Any] = {
        "protocol": name[0], "condition": name[1], "n": len(set(places.tolist())),
        "speakers": len(set(speakers.tolist())), "drawn": "speakers",
    }  # fmt: skip
    for measure, (hits, counted) in measures.items():
        row[measure] = _difference(hits, counted, speakers, seed)
    return row


def _difference(
    hits: Hits, counted: NDArray[np.bool_], speakers: NDArray[np.str_], seed: int
) -> dict[str, float]:
    names, owner = np.unique(speakers[counted], return_inverse=True)
    sums = np.zeros((len(names), 3))
    own = np.stack([hits[0][counted], hits[1][counted], np.ones(int(counted.sum()))], axis=1).astype(float)
    np.add.at(sums, owner, own)
    old, new = (sums.sum(axis=0)[:2] / sums[:, 2].sum()).tolist()

    def change(total: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (total[:, 1] - total[:, 0]) / np.maximum(total[:, 2], 1.0)
        return found

    low, high = intervals.bootstrap(sums, change, DRAWS, seed) if len(names) > 1 else (-1.0, 1.0)
    return {
        "old": old, "new": new, "difference": points(new - old), "low_95": points(low), "high_95": points(high)
    }  # fmt: skip
