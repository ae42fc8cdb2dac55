"""What adaptation to the room would have done, replayed over predictions that were made once.

Causal: the utterances of a room come in a seeded random order, and utterance `t` is decided with the mean of those
before it only. The mean is the device's own class, `edge.inference.baseline.Baseline`; no label is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Baseline
from training.metrics.predictions import Predictions

Float = NDArray[np.float64]
ORDERS = 5
ONE_EMOTION_LENGTH = 200
"""Utterances of a single label in a row, of protocol `one-emotion`."""
SEED = 1


def hear(logits: Float, room: Baseline, order: NDArray[np.intp]) -> Float:
    """Adapted logits `[len(order), labels]` of one room's utterances, of `logits` `[n, labels]`, in that order.

    The room begins anew, and afterwards holds what it has heard.
    """
    room.reset()
    adapted = np.empty((len(order), logits.shape[1]))
    for step, place in enumerate(order):
        adapted[step] = logits[place] + room.shift
        room.add(logits[place])
    return adapted


def orders(
    found: Predictions, seed: int = SEED, count: int = ORDERS
) -> Iterator[dict[str, NDArray[np.intp]]]:
    """For each repetition: room -> the places of its utterances in the order in which they are spoken."""
    rooms = np.array(found.rooms)
    for repetition in range(count):
        yield {
            name: np.random.default_rng([seed, repetition]).permutation(np.flatnonzero(rooms == name))
            for name in sorted(set(found.rooms))
        }


def replay(found: Predictions, room: Baseline, seed: int = SEED, count: int = ORDERS) -> Iterator[Float]:
    """For each repetition the adapted logits `[n, labels]`, in the order of the clips."""
    for rooms in orders(found, seed, count):
        result = np.empty_like(found.logits)
        for order in rooms.values():
            result[order] = hear(found.logits, room, order)
        yield result


def repeat(
    places: NDArray[np.intp], random: np.random.Generator, length: int = ONE_EMOTION_LENGTH
) -> NDArray[np.intp]:
    """Draw `length` of `places`; where there are fewer, all are repeated, each time in another order."""
    rounds = -(-length // places.size)
    return np.concatenate([random.permutation(places) for _ in range(rounds)])[:length]
