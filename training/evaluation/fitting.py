"""The bridge from a protocol that trains by itself to `training.fit` and `training.convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UserError
from training.corpora.clip import Clip
from training.recipe import Recipe


@dataclass(frozen=True)
class Lesson:
    """A training run with its own clips and labels."""

    recipe: Recipe
    data: Path
    fitting: Sequence[Clip]
    judging: Sequence[Clip]
    """Clips to watch the training by."""
    labels: Sequence[str]
    out: Path
    seed: int
    quiet: bool


def train(lesson: Lesson) -> Path:
    """Fits, or continues a run found in `lesson.out`; the weights of the last epoch."""
    raise UserError("not wired yet")


def convert(recipe: Recipe, weights: Path, out: Path, labels: Sequence[str]) -> None:
    """Writes the int8 graph as `export` would."""
    raise UserError("not wired yet")
