"""Which clips are heard when, and batches of their features; both are functions of (seed, epoch) alone.

So a run that was killed continues with exactly the batches that it would have had.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from training.augment import transforms
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.fit.recipe import Recipe

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Features `[batch, frames, 80]`, mask `[batch, frames // 2]`, soft labels `[batch, labels]`."""

    features: Float
    mask: Float
    targets: Float


def plan(clips: Sequence[Clip], draws: int, seed: int, epoch: int) -> list[int]:
    """Indices of the clips of one epoch, in no order.

    A (corpus, label) is heard by the square root of its size, and labels are then balanced half-way (square root of
    their share), so that a small corpus and a rare label count without being learnt by heart.
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
    """Batches of clips of similar length (little padding to compute), in random order; the last one may be short."""
    random = np.random.default_rng([seed, epoch, 1])
    # Noise in the sorting key: the same neighbours must not meet in every epoch.
    ordered = sorted(indices, key=lambda index: lengths[index] * random.uniform(0.85, 1.15))
    parts = [list(ordered[start : start + batch]) for start in range(0, len(ordered), batch)]
    return [parts[int(index)] for index in random.permutation(len(parts))]


def pad(mels: Sequence[Float]) -> tuple[Float, Float]:
    """Zero-pads to the longest, as `features.network_input` does."""
    sizes = [mel.shape[0] // 2 * 2 for mel in mels]
    longest = max(sizes)
    stacked = np.zeros((len(mels), longest, mels[0].shape[1]), np.float32)
    mask = np.zeros((len(mels), longest // 2), np.float32)
    for row, (mel, size) in enumerate(zip(mels, sizes, strict=True)):
        stacked[row, :size] = mel[:size]
        mask[row, : size // 2] = 1.0
    return stacked, mask


def mix(batch: Batch, alpha: float, random: np.random.Generator) -> Batch:
    """Mixup (Zhang et al. 2018, arXiv 1710.09412) of the features with those of another clip of the batch."""
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
    """All that batches are made of."""

    clips: Sequence[Clip]
    labels: tuple[str, ...]
    sounds: Sounds
    noises: Sequence[Path]
    recipe: Recipe
    rooms: Sequence[Float] = ()

    def batch(self, task: tuple[Sequence[int], list[int]]) -> Batch:
        """The augmented batch of (indices, key); the key seeds its randomness."""
        indices, key = task
        how = self.recipe.augment
        random = np.random.default_rng(key)
        mels, targets = [], np.zeros((len(indices), len(self.labels)), np.float32)
        places = random.integers(len(self.noises), size=4).tolist() if self.noises else []
        held = [self.sounds[self.noises[int(place)]] for place in places]
        for row, index in enumerate(indices):
            samples = transforms.speech(self.sounds[self.clips[index].path], held, how, random, self.rooms)
            mels.append(transforms.spectrum(features.log_mel(samples), how, random))
            targets[row, self.labels.index(self.clips[index].label)] = 1.0
        stacked, mask = pad(mels)
        batch = Batch(stacked, mask, targets)
        return mix(batch, how.mixup, random) if how.mixup > 0 else batch


_source: Source | None = None


def _in_worker(task: tuple[Sequence[int], list[int]]) -> Batch:
    assert _source is not None
    return _source.batch(task)


class Kitchen:
    """Makes batches ahead of the network: in one thread, or in forked processes where a machine has many cores.

    A forked process shares the recordings in memory with its parent; it must be made before the network is.
    """

    def __init__(self, source: Source, workers: int | None = None) -> None:
        global _source  # noqa: PLW0603 - what a fork shares must be reachable without pickling
        cores = os.cpu_count() or 1
        self._source = source
        self._pool = None
        if workers is None:
            workers = 0 if cores <= 4 else min(8, cores - 2)
        if workers > 1 and "fork" in multiprocessing.get_all_start_methods():
            _source = source
            self._pool = multiprocessing.get_context("fork").Pool(workers)

    def serve(self, tasks: Sequence[tuple[Sequence[int], list[int]]]) -> Iterator[Batch]:
        """The batches of the tasks, in order."""
        if self._pool is not None:
            return self._pool.imap(_in_worker, tasks)
        return ahead(self._source.batch(task) for task in tasks)

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()


def ahead(batches: Iterator[Batch], depth: int = 8) -> Iterator[Batch]:
    """Makes batches in a thread while the network computes. An error there is raised here."""
    waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="augmentation", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
