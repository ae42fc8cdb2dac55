"""The graph that a device runs, made from weights: int8 in the way that the recipe's network asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from training.data.corpora.clip import Clip
from training.export import convert, operators, representative
from training.recipes.recipe import Recipe


def kernels(recipe: Recipe) -> Literal["dynamic-int8", "full-int8"]:
    """Return how the graph of a recipe is quantised, in the word of the manifest."""
    return "full-int8" if recipe.architecture == "student" else "dynamic-int8"


def write(
    model: Path,
    recipe: Recipe,
    weights: Path,
    *,
    fitting: Sequence[Clip],
    data: Path,
    seed: int,
    labels: Sequence[str],
) -> None:
    """Convert a run's weights to the TFLite file `model`.

    A full-int8 graph takes the ranges of its activations from the clips that were fitted. Raises `UserError` if the
    conversion fails, or if the oldest runtime could not run the graph.
    """
    if kernels(recipe) == "dynamic-int8":
        convert.in_own_process(recipe, weights, model, labels=len(labels))
        return
    with tempfile.TemporaryDirectory(prefix="roomtone-samples-") as scratch:
        samples = Path(scratch) / "samples.npz"
        representative.write(samples, recipe, fitting, data, seed)
        convert.in_own_process(recipe, weights, model, labels=len(labels), samples=samples)
    operators.check_full_int8(model, 2 if recipe.relative is None else 3)
