"""From how many effective emotions on the baseline counts: chosen for each bundle, on out-of-fold predictions.

`edge.inference.baseline` subtracts what a room adds to all logits, but not where the room has been heard in one emotion
alone. How many effective emotions that is depends on how far a model spreads its probabilities, so the two bounds are
chosen for each: the best gain in rooms where all emotions occur, among those that lose little in a room of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Baseline
from training.fit.out_of_fold import OutOfFold, groups
from training.metrics import baseline_replay

LOWEST: Final = np.arange(3.0, 6.01, 0.25)
WIDTH: Final = 1.0
"""From where it does not count to where it counts in full: not a switch, as the count of emotions is an estimate."""
LOSS: Final = 0.012
"""Accuracy that 200 utterances of one mood may lose, averaged over rooms and moods; another room may lose more."""
DAY: Final = baseline_replay.ONE_EMOTION_LENGTH
ORDERS: Final = 2


def choose(left_out: OutOfFold, temperature: float) -> tuple[float, float]:
    """The bounds, in effective emotions: see `edge.inference.baseline`."""
    rooms = list(_rooms(left_out))
    origin = left_out.logits.mean(axis=0)

    def rank(bounds: tuple[float, float]) -> tuple[float, float]:
        gain, loss = measure(left_out, Baseline(origin, temperature, emotion_bounds=bounds), rooms)
        # Where none loses so little, the one that loses least.
        return (0.0, gain) if loss <= LOSS else (-loss, 0.0)

    return max(((low, low + WIDTH) for low in LOWEST.tolist()), key=rank)


def measure(left_out: OutOfFold, baseline: Baseline, rooms: list[NDArray[np.intp]]) -> tuple[float, float]:
    """Accuracy gained in rooms of all moods, and lost in those of one, averaged over rooms (and moods)."""
    gains, losses = [], []
    for number, room in enumerate(rooms):
        for turn in range(ORDERS):
            order = np.random.default_rng([number, turn]).permutation(room)
            gains.append(_gained(left_out, baseline, order))
        for label in set(left_out.truth[room].tolist()):
            own = room[left_out.truth[room] == label]
            day = baseline_replay.repeat(own, np.random.default_rng([number, label]), DAY)
            losses.append(-_gained(left_out, baseline, day))
    return float(np.mean(gains)), float(np.mean(losses))


def _rooms(left_out: OutOfFold) -> Iterator[NDArray[np.intp]]:
    """The places of the utterances of each room: a few speakers of one corpus, whom the same head has not heard."""
    names = left_out.speakers.tolist()
    group, corpus = groups(names), np.array([name.split("/")[0] for name in names])
    for one, number in itertools.product(sorted(set(corpus)), range(group.max() + 1)):
        found = np.flatnonzero((corpus == one) & (group == number))
        if found.size:
            yield found


def _gained(left_out: OutOfFold, baseline: Baseline, order: NDArray[np.intp]) -> float:
    """Accuracy gained by the mean, in that order."""
    adapted = baseline_replay.hear(left_out.logits, baseline, order)
    truth, plain = left_out.truth[order], left_out.logits[order]
    return float((adapted.argmax(axis=1) == truth).mean() - (plain.argmax(axis=1) == truth).mean())
