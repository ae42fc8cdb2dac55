"""What the steps of both stages hear: utterances at random, or a few whole households; functions of the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.corpora.clip import ORDINARY, Clip
from training.fit.batches import Source
from training.fit.tuning.settings import Tuning

Ints = NDArray[np.int64]
Step = tuple[list[int], list[int]]
"""Indices of the clips of a step, and the key that seeds its randomness: `[seed, round, stage, 0, step]`."""


def utterances(source: Source, how: Tuning, seed: int, steps: int, stage: int = 7) -> Iterator[Step]:
    """Yield `steps` steps of utterances of one round, drawn without regard to label or household."""
    count = min(how.first_batch, len(source.clips))
    for step in range(steps):
        random = np.random.default_rng([seed, stage, step])
        turn = 1 + int(random.integers(how.rounds))
        chosen = random.choice(len(source.clips), count, replace=False)
        yield [int(place) for place in chosen], [seed, turn, stage, 0, step]


def plan(source: Source, how: Tuning, seed: int) -> Iterator[Step]:
    """Yield the steps of stage 2: each has utterances of a few households of one round; its key is of stage 3."""
    groups = {turn: _households(source, seed, turn) for turn in range(1, how.rounds + 1)}
    for step in range(how.steps):
        turn = 1 + step % how.rounds
        random = np.random.default_rng([seed, 6, step])
        chosen: list[int] = []
        for _ in range(how.households):
            kind = "acted" if random.random() < how.acted else ORDINARY
            kinds = sorted(name for name in groups[turn] if (name == ORDINARY) == (kind == ORDINARY))
            own = groups[turn][str(random.choice(kinds or sorted(groups[turn])))]
            chosen += _some(source.clips, own[int(random.integers(len(own)))], how.utterances, random)
        yield chosen, [seed, turn, 3, 0, step]


def _households(source: Source, seed: int, turn: int) -> dict[str, list[Ints]]:
    """Clips of each household by acted corpus, or under `ordinary`."""
    homes, found = source.homes(seed, turn), dict[str, list[Ints]]()
    for home in np.unique(homes):
        places = np.flatnonzero(homes == home)
        first = source.clips[int(places[0])]
        found.setdefault(ORDINARY if first.label == ORDINARY else first.corpus, []).append(places)
    return found


def _some(clips: Sequence[Clip], places: Ints, most: int, random: np.random.Generator) -> list[int]:
    """At most `most` clips of a household: labels half-way balanced, neutral twice as often for its baseline."""
    labels = np.array([clips[int(place)].label for place in places])
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -0.5 * np.where(labels == "neutral", 2.0, 1.0)
    return [
        int(place)
        for place in random.choice(places, min(most, len(places)), replace=False, p=weights / weights.sum())
    ]


def targets(
    source: Source, key: Sequence[int], rows: Ints, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return label index (-1: ordinary), household within the batch, and whether it counts for the baseline.

    Each is `[n]`: int32, int32, float32. Of each household a random share of the neutral utterances counts, so that
    baselines of all ages are learnt from.
    """
    clips = [source.clips[int(row)] for row in rows]
    label = np.array([-1 if c.label == ORDINARY else source.labels.index(c.label) for c in clips], np.int32)
    _, home = np.unique(source.homes(key[0], key[1])[rows], return_inverse=True)
    share = random.random(int(home.max()) + 1)[home]
    counted = (label <= 0) & (random.random(len(rows)) < share)
    return label, home.astype(np.int32), counted.astype(np.float32)


def mask_bands(mels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Replace up to 8 mel bands of every second clip by its mean; log-mel float32 `[batch, frames, 80]`.

    SpecAugment (Park et al. 2019, arXiv 1904.08779), over frequency alone.
    """
    result = mels.copy()
    for row in np.flatnonzero(random.random(len(mels)) < 0.5):
        first, width = int(random.integers(72)), int(random.integers(9))
        result[row, :, first : first + width] = mels[row].mean()
    return result
