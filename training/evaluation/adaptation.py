"""What adaptation to the room would have done, replayed over predictions that were made once.

Causal: the utterances of a room come in a seeded random order, and utterance `t` is decided with the mean of those
before it only. The mean is the device's own class, `edge.model.room.RoomMean`; no label is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.model.bundle import Bundle
from edge.model.room import RoomMean
from training.predict import Predictions

Float = NDArray[np.float64]
ORDERS = 5
SEED = 1


@dataclass(frozen=True)
class Head:
    """What adaptation needs of a bundle."""

    kernel: Float
    """Of the output layer, `[size, labels]`: the logits are linear in the embedding."""
    training_mean: Float
    """`[size]`."""

    @classmethod
    def of(cls, bundle: Bundle) -> Head:
        """Raises `BundleError` where the bundle has no output layer to adapt with."""
        return cls(np.asarray(bundle.head(), np.float64), np.array(bundle.manifest.embedding_mean))

    def room(self) -> RoomMean:
        """A room that has heard nothing yet."""
        return RoomMean(self.training_mean)


def hear(found: Predictions, head: Head, order: NDArray[np.intp]) -> tuple[Float, Float]:
    """Adapted logits `[len(order), labels]` of one room's utterances in that order, and the shift at the end."""
    room = head.room()
    shifts = np.empty((len(order), head.training_mean.size))
    for step, place in enumerate(order):
        shifts[step] = room.shift
        room.add(found.embeddings[place])
    return found.logits[order] + shifts @ head.kernel, np.asarray(room.shift, np.float64)


def orders(
    found: Predictions, seed: int = SEED, count: int = ORDERS
) -> Iterator[dict[str, NDArray[np.intp]]]:
    """For each repetition: room -> the places of its utterances in the order in which they are spoken."""
    rooms = np.array(found.rooms)
    for repetition in range(count):
        yield {
            name: np.random.default_rng([seed, repetition, index]).permutation(np.flatnonzero(rooms == name))
            for index, name in enumerate(sorted(set(found.rooms)))
        }


def replay(found: Predictions, head: Head, seed: int = SEED, count: int = ORDERS) -> Iterator[Float]:
    """For each repetition the adapted logits `[n, labels]`, in the order of the clips."""
    for rooms in orders(found, seed, count):
        result = np.empty_like(found.logits)
        for order in rooms.values():
            result[order], _ = hear(found, head, order)
        yield result
