"""Caution of a relative head: how much more evidence it asks for while little has been heard of a room.

A room moves all its utterances by more than an emotion does, and until the baseline has learnt by how much, neutral
speech there looks like an emotion. So evidence is lowered by the weight that the origin still has in the baseline: a
prediction from few observations varies more (Gelman et al., Bayesian Data Analysis 2013, section 2.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from edge.inference.baseline import Baseline, Relative
from edge.inference.decision import score
from edge.inference.relative_head import RelativeHead
from training.fit.out_of_fold import OutOfFold

FIRST: Final = 10
"""Utterances of a new room of which as much neutral speech is kept as later."""
BEGINNINGS: Final = 50
"""Of each room, in random orders."""
MOST: Final = 8.0
STEP: Final = 0.25
SEED: Final = 6


def choose(left_out: OutOfFold, head: RelativeHead, rooms: Sequence[str], kept_share: float) -> float:
    """Return the least caution with which `kept_share` of neutral speech is kept in the first utterances of each room.

    `rooms` should be those of speakers that nothing was fitted to; without any it is 0. The origin of `head` is where
    they begin, its own caution does not matter.
    """
    plain = msgspec.structs.replace(head, decision=msgspec.structs.replace(head.decision, caution=0.0))
    spoken = []
    for name in rooms:
        compared = list(_beginnings(left_out, plain, name))
        spoken.append(
            (np.array([score(one, plain) for one in compared]), np.array([one.unsure for one in compared]))
        )
    for caution in np.arange(0.0, MOST, STEP):
        kept = [(scores - caution * unsure < head.decision.threshold).mean() for scores, unsure in spoken]
        if all(share >= kept_share for share in kept):
            return float(caution)
    return MOST


def _beginnings(left_out: OutOfFold, head: RelativeHead, room: str) -> Iterator[Relative]:
    """The first neutral utterances of a room in random orders, each compared with a baseline of those before it."""
    neutral = np.flatnonzero((left_out.rooms == room) & (left_out.truth <= 0))
    for turn in range(BEGINNINGS):
        baseline = Baseline(head.baseline)
        for place in np.random.default_rng([SEED, len(room), turn]).choice(neutral, FIRST):
            yield baseline.relative(left_out.logits[place])
            baseline.add(left_out.logits[place])
