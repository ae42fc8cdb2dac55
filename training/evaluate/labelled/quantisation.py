"""What int8 costs: the bundle against a float32 conversion of the same weights, on the same clips, both in LiteRT."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.inference.bundle import HEAD, MODEL, Bundle
from edge.util.errors import UserError
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.evaluate import graphs
from training.evaluate.labelled import measures
from training.export import convert
from training.fit import checkpoint
from training.metrics.classification import points
from training.metrics.predictions import Predictions, predict
from training.recipes.recipe import Recipe


def run(
    bundle: Bundle, made_of: tuple[Recipe, Path], clips: Sequence[Clip], found: Predictions, quiet: bool
) -> list[dict[str, Any]]:
    """Compare the int8 bundle with a float conversion of its weights; returns two JSON objects, `int8` and `float`.

    The first has the loss in percentage points. Raises `UserError` where the run is missing.
    """
    recipe, weights = made_of
    with tempfile.TemporaryDirectory(prefix="roomtone-float-") as scratch:
        convert.in_own_process(recipe, weights, Path(scratch) / MODEL, quantise=False)
        made = bundle.manifest
        exact = graphs.bare(Path(scratch), recipe.name, made.labels, made.embedding_size, made.relative)
        reference = predict(exact, clips, Sounds(), "float", quiet=quiet)
    rounded = measures.measure("quantisation", bundle, found)
    full = measures.measure("quantisation", bundle, reference)
    same = found.logits.argmax(axis=1) == reference.logits.argmax(axis=1)
    return [
        rounded
        | {"condition": bundle.manifest.kernels, "weights": str(weights)}
        | {"loss": points(full["accuracy"] - rounded["accuracy"])}
        | {"loss_macro_f1": points(full["macro_f1"] - rounded["macro_f1"])}
        | {"same_decision": float(same.mean()), "cosine": _cosine(found, reference)},
        full | {"condition": "float", "weights": str(weights), "loss": 0.0, "loss_macro_f1": 0.0},
    ]


def source(bundle: Bundle, folder: Path | None) -> tuple[Recipe, Path]:
    """Find the recipe and the weights of a bundle's run. Raises `UserError` where the run is not that of the bundle."""
    if folder is None:
        raise UserError(
            "quantisation needs the folder of the run that the bundle was exported from: --run RUN"
        )
    try:
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        recipe = msgspec.convert(history["recipe"], Recipe)
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise UserError(f"{folder}: not the folder of a run with a finished epoch: {error}") from None
    if recipe.name != bundle.manifest.name:
        raise UserError(f"{folder} is a run of {recipe.name}, and the bundle is {bundle.full_name}")
    epochs = sorted(folder.glob("epoch-*.npz"), reverse=True)
    if not epochs:
        raise UserError(f"{folder} holds no weights (epoch-NN.npz)")
    if HEAD not in bundle.manifest.files:
        return recipe, epochs[0]
    kernel = bundle.head()
    for weights in epochs:
        if any(
            array.shape == kernel.shape and np.array_equal(array, kernel)
            for array in checkpoint.load_weights(weights)
        ):
            return recipe, weights
    raise UserError(
        f"no epoch of {folder} has the output layer of {bundle.full_name}: it comes from another run"
    )


def _cosine(one: Predictions, other: Predictions) -> float:
    """Mean cosine of the embeddings, both without the mean of the exact ones."""
    centre = other.embeddings.mean(axis=0)
    first, second = one.embeddings - centre, other.embeddings - centre
    product = np.sum(first * second, axis=1)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.mean(product / np.maximum(norms, 1e-12)))
