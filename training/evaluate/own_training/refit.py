"""The bridge from a protocol that trains by itself to `training.fit.trainer` and `training.export.convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.corpora.clip import Clip
from training.data.task import Task
from training.export import graph
from training.fit import checkpoint
from training.networks import backend
from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class Lesson:
    """A training run of a protocol, with its own clips and labels."""

    recipe: Recipe
    data: Path
    task: Task
    out: Path
    seed: int
    quiet: bool
    pooled: Path | None = None
    """See `fit.Job`."""
    also: Sequence[Clip] = ()


def train(lesson: Lesson) -> Path:
    """Train, or continue the run in `lesson.out`; returns the file of the last epoch's weights. Raises `UserError`."""
    backend.choose("torch", "tensorflow", "jax")
    from training.fit import trainer
    from training.fit.inputs import Job

    trainer.run(
        Job(
            lesson.recipe,
            lesson.data,
            lesson.out,
            lesson.seed,
            quiet=lesson.quiet,
            task=lesson.task,
            pooled=lesson.pooled,
            also=lesson.also,
            calibrated=False,
        )
    )
    return checkpoint.epoch_file(lesson.out, lesson.recipe.last_epoch)


def to_int8(lesson: Lesson, weights: Path, out: Path) -> None:
    """Convert the weights of a run to a quantised TFLite graph, as `export` does."""
    task = lesson.task
    graph.write(
        out,
        lesson.recipe,
        weights,
        fitting=task.fitting,
        data=lesson.data,
        seed=lesson.seed,
        labels=task.labels,
    )
