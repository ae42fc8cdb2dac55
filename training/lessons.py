"""What a small network learns from: every clip augmented a few times, and what a large network says about each.

The teacher sees exactly what the pupil sees (Beyer et al. 2022, "consistent teaching", arXiv 2106.05237), with other
throats, rooms and noises but before masks and mixup, which are drawn anew in every epoch and cost nothing. Asking the
teacher costs more than an epoch of the pupil, so it is asked once and the answers are kept in the folder of the run, in
files of a few hundred clips: a run that was killed goes on with the next file.

Targets are a mixture of the true label and the teacher's softened probabilities (Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.errors import UserError
from edge.model import bundle as bundles
from edge.model import features
from edge.model.interpreter import Interpreter
from training import augment, batches, checkpoint
from training.batches import Batch
from training.predict import softmax
from training.recipe import Distil

Float = NDArray[np.float32]
CHUNK: Final = 256
"""Clips of one file."""


@dataclass(frozen=True)
class Chunk:
    """Features and teacher's probabilities of some clips, once augmented."""

    mels: Sequence[NDArray[np.float16]]
    said: Float


@dataclass(frozen=True)
class Desk:
    """All that a file of lessons is made of; forked processes share it."""

    source: batches.Source
    teacher: Path | None
    seed: int
    folder: Path

    def write(self, variant: int, start: int) -> None:
        """Makes one file, unless it is there."""
        path = self.path(variant, start)
        if path.exists():
            return
        source = unmasked(self.source)
        teacher = Teacher(self.teacher) if self.teacher else None
        mels, said = [], []
        for index in range(start, min(start + CHUNK, len(source.clips))):
            mel = source.batch(([index], [self.seed, variant, index, 4])).features[0].astype(np.float16)
            mels.append(mel)
            if teacher is not None:
                said.append(teacher.ask(mel.astype(np.float32)))
        arrays = {
            "mels": np.concatenate(mels), "sizes": np.array([len(mel) for mel in mels], np.int32),
            "logits": np.array(said, np.float32),
        }  # fmt: skip
        checkpoint.write_arrays(path, arrays)

    def path(self, variant: int, start: int) -> Path:
        """Of one file."""
        return self.folder / f"{variant:02d}-{start:06d}.npz"


def unmasked(source: batches.Source) -> batches.Source:
    """The same without what is drawn anew in every epoch."""
    recipe = source.recipe
    how = msgspec.structs.replace(recipe.augment, frequency_masks=0, time_masks=0, mixup=0.0)
    return dataclasses.replace(source, recipe=msgspec.structs.replace(recipe, augment=how))


class Teacher:
    """A bundle that is asked. Raises `BundleError` or `InterpreterError`."""

    def __init__(self, folder: Path) -> None:
        bundle = bundles.load(folder)
        self._manifest = bundle.manifest
        self._interpreter = Interpreter(bundle.model)

    def ask(self, mel: Float) -> NDArray[np.float64]:
        """Calibrated logits `[7]` of features `[frames, 80]` with an even number of frames."""
        padded, mask = features.pad_features(mel, self._manifest.features)
        found = self._interpreter.run({"features": padded, "mask": mask})
        logits: NDArray[np.float64] = found[self._manifest.logits][0].astype(np.float64)
        return logits / self._manifest.temperature


_desk: Desk | None = None


def _with_parent() -> None:
    """Ends this process when its parent is gone: a parent that is killed outright cannot end it."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write(task: tuple[int, int]) -> None:
    assert _desk is not None
    _desk.write(*task)


class Lessons:
    """Serves batches like `batches.Kitchen`, from what was prepared.

    Without a `teacher` the targets are the labels alone. Raises `UserError` for a teacher that cannot be read, and when
    the disk is full.
    """

    def __init__(
        self, source: batches.Source, teacher: Path | None, seed: int, out: Path,
        *, workers: int | None = None, quiet: bool = False,
    ) -> None:  # fmt: skip
        self._source = source
        self._how = source.recipe.distil or Distil()
        if teacher and bundles.load(teacher).manifest.labels != source.labels:
            raise UserError(f"{teacher} knows other labels than {', '.join(source.labels)}: --teacher none")
        folder = out / f"lessons-{_name(source, teacher, seed)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be made: {error}") from None
        desk = Desk(source, teacher, seed, folder)
        starts = range(0, len(source.clips), CHUNK)
        tasks = [(variant, start) for variant in range(self._how.variants) for start in starts]
        _prepare(desk, [task for task in tasks if not desk.path(*task).exists()], len(tasks), workers, quiet)
        self._held = [
            [_read(desk.path(variant, start), self._how.temperature) for start in starts]
            for variant in range(self._how.variants)
        ]

    def serve(self, tasks: Sequence[tuple[Sequence[int], list[int]]]) -> Iterator[Batch]:
        """The batches of the tasks, in order; a task is indices of clips and the key of its randomness."""
        return batches.ahead(self.batch(task) for task in tasks)

    def batch(self, task: tuple[Sequence[int], list[int]]) -> Batch:
        """One batch: a variant of each clip at random, masks, mixup."""
        indices, key = task
        how = self._source.recipe.augment
        random = np.random.default_rng(key)
        mels, targets = [], np.zeros((len(indices), len(self._source.labels)), np.float32)
        for row, index in enumerate(indices):
            chunk = self._held[int(random.integers(len(self._held)))][index // CHUNK]
            place = index % CHUNK
            mels.append(augment.mask(chunk.mels[place].astype(np.float32), how, random))
            share = self._how.teacher_share if chunk.said.size else 0.0
            targets[row, self._source.labels.index(self._source.clips[index].label)] = 1.0 - share
            if share:
                targets[row] += share * chunk.said[place]
        stacked, mask = batches.pad(mels)
        batch = Batch(stacked, mask, targets)
        return batches.mix(batch, how.mixup, random) if how.mixup > 0 else batch

    def close(self) -> None:
        """There is no process to end."""


def _name(source: batches.Source, teacher: Path | None, seed: int) -> str:
    """Changes with anything that changes the lessons."""
    document = {
        "augment": msgspec.to_builtins(source.recipe.augment), "seed": seed, "chunk": CHUNK,
        "labels": source.labels,
        "teacher": bundles.load(teacher).sha256 if teacher else None,
        "clips": [f"{clip.corpus}/{clip.path.name}/{clip.label}" for clip in source.clips],
        "noises": [path.name for path in source.noises],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]


def _prepare(
    desk: Desk, missing: Sequence[tuple[int, int]], total: int, workers: int | None, quiet: bool
) -> None:
    """Writes the missing files, in forked processes where there are several cores."""
    global _desk  # noqa: PLW0603 - what a fork shares must be reachable without pickling
    if not missing:
        return
    count = min(workers or os.cpu_count() or 1, len(missing))
    bar = tqdm(desc="lessons", unit="file", total=total, initial=total - len(missing), disable=quiet or None)
    with bar:
        if count > 1 and "fork" in multiprocessing.get_all_start_methods():
            _desk = desk
            with multiprocessing.get_context("fork").Pool(count, _with_parent) as pool:
                for _ in pool.imap_unordered(_write, missing):
                    bar.update()
        else:
            for task in missing:
                desk.write(*task)
                bar.update()


def _read(path: Path, temperature: float) -> Chunk:
    try:
        with np.load(path, allow_pickle=False) as archive:
            mels, sizes, logits = archive["mels"], archive["sizes"], archive["logits"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read, remove it: {error}") from None
    said = softmax(logits.astype(np.float64) / temperature).astype(np.float32) if logits.size else logits
    return Chunk(np.split(mels, np.cumsum(sizes)[:-1]), said)
