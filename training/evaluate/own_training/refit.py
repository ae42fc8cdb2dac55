"""The bridge from a protocol that trains by itself to `training.fit.trainer` and `training.export.convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.corpora.clip import Clip
from training.data.task import Task
from training.export import graph
from training.networks import backend
from training.recipes.recipe import Recipe


@dataclass(frozen=True)
class Lesson:
    """A training run with its own clips and labels."""

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
    """Fits, or continues a run found in `lesson.out`; the weights of the last epoch. Raises `UserError`."""
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
    return lesson.out / f"epoch-{lesson.recipe.last_epoch:02d}.npz"


def to_int8(lesson: Lesson, weights: Path, out: Path) -> None:
    """Writes the graph as `export` would."""
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
