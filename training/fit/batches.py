"""Which clips an epoch draws, and batches of their features; both are functions of (seed, epoch) alone.

So a run that was killed continues with exactly the batches that it would have had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from training.augment import household, transforms
from training.data.corpora.clip import ORDINARY, Clip
from training.data.recordings import Sounds
from training.recipes.recipe import Recipe

Float = NDArray[np.float32]


@dataclass(frozen=True)
class DryBatch:
    """The speech of a batch without room, noise, codec and microphone (`household.Dry`)."""

    features: Float
    """Float32 `[batch, frames, 80]`."""
    mask: Float
    """Float32 `[batch, frames // 2]`."""
    shift: NDArray[np.int32]
    """`[batch]`: tokens from the first of the household to the first dry one."""


@dataclass(frozen=True)
class Batch:
    """One batch, all float32.

    Features `[batch, frames, 80]`, mask `[batch, frames // 2]` and soft labels `[batch, labels]`.
    """

    features: Float
    mask: Float
    targets: Float
    dry: DryBatch | None = None
    """The same speech dry, where the source makes it."""


def plan(clips: Sequence[Clip], draws: int, seed: int, epoch: int) -> list[int]:
    """Draw the clips of one epoch; returns indices into `clips`, unordered.

    A (corpus, label) is drawn in proportion to the square root of its size, and labels are then balanced half-way
    (square root of their share), so that a small corpus and a rare label count without being overfitted.
    """
    cells: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        cells[clip.corpus, clip.label].append(index)
    weight = {cell: len(members) ** 0.5 for cell, members in cells.items()}
    totals: dict[str, float] = defaultdict(float)
    for (_, label), value in weight.items():
        totals[label] += value
    typical = sum(totals.values()) / len(totals)
    weight = {cell: value * (typical / totals[cell[1]]) ** 0.5 for cell, value in weight.items()}
    random = np.random.default_rng([seed, epoch, 0])
    chosen: list[int] = []
    for cell in sorted(cells):
        count = round(draws * weight[cell] / sum(weight.values()))
        rounds = -(-count // len(cells[cell]))
        order = np.concatenate([random.permutation(cells[cell]) for _ in range(rounds)])
        chosen.extend(int(index) for index in order[:count])
    return chosen


def group(
    indices: Sequence[int], lengths: Sequence[float], batch: int, seed: int, epoch: int
) -> list[list[int]]:
    """Group clips of similar length (seconds) into batches, in random order; the last one may be short."""
    random = np.random.default_rng([seed, epoch, 1])
    # Noise in the sorting key: the same neighbours must not meet in every epoch.
    ordered = sorted(indices, key=lambda index: lengths[index] * random.uniform(0.85, 1.15))
    parts = [list(ordered[start : start + batch]) for start in range(0, len(ordered), batch)]
    return [parts[int(index)] for index in random.permutation(len(parts))]


def pad(mels: Sequence[Float]) -> tuple[Float, Float]:
    """Zero-pad log-mel features `[frames, 80]` to the longest, as `features.network_input` does.

    Returns features `[batch, frames, 80]` and mask of valid tokens `[batch, frames // 2]`, float32.
    """
    sizes = [mel.shape[0] // 2 * 2 for mel in mels]
    longest = max(sizes)
    stacked = np.zeros((len(mels), longest, mels[0].shape[1]), np.float32)
    mask = np.zeros((len(mels), longest // 2), np.float32)
    for row, (mel, size) in enumerate(zip(mels, sizes, strict=True)):
        stacked[row, :size] = mel[:size]
        mask[row, : size // 2] = 1.0
    return stacked, mask


def _dry_batch(dry: Sequence[household.Dry]) -> DryBatch:
    return DryBatch(*pad([one.mel for one in dry]), np.array([one.shift for one in dry], np.int32))


def mix(batch: Batch, alpha: float, random: np.random.Generator) -> Batch:
    """Apply mixup (Zhang et al.

    2018, arXiv 1710.09412): blend features and labels with those of other clips of the batch.
    """
    size = len(batch.targets)
    share = random.beta(alpha, alpha, size).astype(np.float32)
    share = np.maximum(share, 1.0 - share)
    other = random.permutation(size)
    mixed = batch.features * share[:, None, None] + batch.features[other] * (1.0 - share)[:, None, None]
    # Beyond its own end a clip would be mixed with the padding: there it stays as it is, masked out.
    mixed *= np.repeat(batch.mask, 2, axis=1)[:, :, None]
    targets = batch.targets * share[:, None] + batch.targets[other] * (1.0 - share)[:, None]
    return Batch(mixed.astype(np.float32), batch.mask, targets.astype(np.float32))


@dataclass(frozen=True)
class Source:
    """What batches are made of: clips, their samples, noise and impulse responses, and the recipe's augmentation."""

    clips: Sequence[Clip]
    labels: tuple[str, ...]
    sounds: Sounds
    noises: Sequence[Path]
    recipe: Recipe
    rooms: Sequence[Float] = ()
    dry: bool = False
    """Whether batches hold dry speech, too; only with augmentation in households."""
    room_shares: Sequence[float] = (household.ROOM_SHARE,)
    """Share of households with a room: in round `n` that of place `n` modulo their number."""

    _homes: dict[tuple[int, int], NDArray[np.int64]] = field(default_factory=dict, compare=False)
    _power: dict[str, float] = field(default_factory=dict, compare=False)

    def homes(self, seed: int, turn: int) -> NDArray[np.int64]:
        """Return the simulated household of each clip in a round, int `[n]`.

        All -1 in round 0, which is as recorded.
        """
        if (seed, turn) not in self._homes:
            speakers, corpora = (
                [getattr(clip, name) for clip in self.clips] for name in ("speaker", "corpus")
            )
            none = np.full(len(speakers), -1, np.int64)
            self._homes[seed, turn] = household.assign(speakers, corpora, (seed, turn)) if turn else none
        return self._homes[seed, turn]

    def batch(self, task: tuple[Sequence[int], list[int]]) -> Batch:
        """Augment clips and make a batch of them; `task` is (indices of the clips, key that seeds the randomness)."""
        indices, key = task
        how = self.recipe.augment
        random = np.random.default_rng(key)
        dry: list[household.Dry] = []
        if how.households:
            mels, dry = self._in_households(indices, key, random)
        else:
            mels = self._one_by_one(indices, random)
        targets = np.zeros((len(indices), len(self.labels)), np.float32)
        for row, index in enumerate(indices):
            label = self.clips[index].label
            targets[row, 0 if label == ORDINARY else self.labels.index(label)] = 1.0
        stacked, mask = pad(mels)
        batch = Batch(stacked, mask, targets, _dry_batch(dry) if dry else None)
        return mix(batch, how.mixup, random) if how.mixup > 0 else batch

    def _one_by_one(self, indices: Sequence[int], random: np.random.Generator) -> list[Float]:
        how = self.recipe.augment
        places = random.integers(len(self.noises), size=4).tolist() if self.noises else []
        held = [self.sounds[self.noises[int(place)]] for place in places]
        mels = []
        for index in indices:
            samples = transforms.speech(self.sounds[self.clips[index].path], held, how, random, self.rooms)
            mels.append(transforms.spectrum(features.log_mel(samples), how, random))
        return mels

    def _in_households(
        self, indices: Sequence[int], key: list[int], random: np.random.Generator
    ) -> tuple[list[Float], list[household.Dry]]:
        """The clips in their households, and dry; the second is empty where it is not wanted."""
        homes, mels, dry = self.homes(key[0], key[1]), list[Float](), list[household.Dry]()
        room_share = self.room_shares[key[1] % len(self.room_shares)]
        for index in indices:
            clip, home = self.clips[index], int(homes[index])
            # Of a household as a whole: the same in every batch; a clip without one is a household of its own.
            seed = [key[0], key[1], 1, home] if home >= 0 else [*key, 4, index]
            own = np.random.default_rng(seed)
            # Some of the recordings of noise, read as they are needed.
            chosen = [int(place) for place in own.integers(len(self.noises), size=1)] if self.noises else []
            noises = [features.to_float(self.sounds[self.noises[place]]) for place in chosen]
            acoustics = household.Acoustics(self.rooms, noises)
            how = household.condition(own, acoustics, room_share)
            voice = household.voice(seed, clip.speaker)
            samples, power = self.sounds[clip.path], self._typical_power(clip.corpus)
            mel, other = household.apply(
                samples, how, voice, typical_power=power, acoustics=acoustics, random=random, dry=self.dry
            )
            mels.append(mel)
            if other is not None:
                dry.append(other)
        return mels, dry

    def _typical_power(self, corpus: str) -> float:
        """Median mean square of some recordings of a corpus."""
        if corpus not in self._power:
            own = [clip for clip in self.clips if clip.corpus == corpus]
            some = own[:: max(1, len(own) // 50)]
            powers = [float(np.mean(np.square(features.to_float(self.sounds[c.path])))) for c in some]
            self._power[corpus] = float(np.median(powers))
        return self._power[corpus]
