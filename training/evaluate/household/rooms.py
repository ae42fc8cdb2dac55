"""Simulated rooms: streams of utterances of one set, mostly ordinary, and what the device publishes of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.metrics import replay
from training.metrics.predictions import Predictions

log = logging.getLogger(__name__)
WARM_UP: Final = 20
"""Utterances after which results count."""
SEED: Final = 1


@dataclass(frozen=True)
class Rooms:
    """What the device decides in several simulated rooms of one set; the utterances of all rooms one after another."""

    places: NDArray[np.intp]
    """`[rooms * length]`: into the predictions."""
    position: NDArray[np.int64]
    """`[rooms * length]`: number of the utterance in its room, from 0."""
    decisions: replay.Decisions


def sets(found: Predictions, emotions: Sequence[str] = LABELS[1:]) -> list[str]:
    """Names of the sets with neutral speech and at least one of these emotions; others are named in the log.

    Raises `UserError` where there is none.
    """
    labels = [LABELS.index(name) for name in emotions]
    usable = []
    for name in sorted(set(found.rooms)):
        truth = found.truth[np.array(found.rooms) == name]
        if not (truth <= 0).any():
            log.warning("%s is left out: it has no neutral speech", name)
        elif not np.isin(truth, labels).any():
            log.warning("%s is left out: it has no speech that is %s", name, " or ".join(emotions))
        else:
            usable.append(name)
    if not usable:
        raise UserError(
            f"no set has both neutral speech and speech that is {' or '.join(emotions)}: add what is missing, "
            "such as DIR/neutral/* (or DIR/ordinary/*, speech that is not acted) and DIR/angry/*"
        )
    return usable


def household(
    found: Predictions, room: str, share: float, *, rooms: int, length: int
) -> list[NDArray[np.intp]]:
    """Draw utterances for rooms in which the share `share` is neutral and all emotions are equally frequent.

    They are drawn with replacement; returns the indices for each room, int `[length]`.
    """
    random = np.random.default_rng([SEED, round(100 * share), len(room)])
    own = np.array(found.rooms) == room
    neutral = np.flatnonzero(own & (found.truth <= 0))
    emotions = [
        np.flatnonzero(own & (found.truth == label)) for label in np.unique(found.truth[own]) if label > 0
    ]
    drawn = []
    for _ in range(rooms):
        places = random.choice(neutral, length)
        for place in np.flatnonzero(random.random(length) >= share):
            places[place] = random.choice(emotions[int(random.integers(len(emotions)))])
        drawn.append(places)
    return drawn


def permuted(found: Predictions, room: str, orders: int) -> list[NDArray[np.intp]]:
    """Return all utterances of a room in several random orders, each as indices, int64 `[n]`."""
    own = np.flatnonzero(np.array(found.rooms) == room)
    return [np.random.default_rng([SEED, order, 2]).permutation(own) for order in range(orders)]


def decide(
    bundle: Bundle, found: Predictions, drawn: list[NDArray[np.intp]], *, baseline: bool = True
) -> Rooms:
    """Replay the utterances of each room, int64 indices `[n]`, and return what the device publishes.

    Each room starts with a new baseline; without `baseline` it learns nothing, as with `baseline.enabled = false`.
    """
    each = [
        replay.published(bundle, found.outputs[p], found.enough_speech[p], baseline=baseline) for p in drawn
    ]
    joined = {
        name: np.concatenate([getattr(one, name) for one in each])
        for name in (
            "labels",
            "probabilities",
            "balanced",
            "score",
            "evidence",
            "relative_arousal",
            "arousal",
        )
    }
    position = np.concatenate([np.arange(len(p)) for p in drawn])
    return Rooms(np.concatenate(drawn), position, replay.Decisions(**joined))
