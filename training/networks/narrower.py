"""An encoder with fewer units in its feed-forward parts: less to compute, and nearly the same tokens.

Which units are removed, and what the others take over, follows from their values on some speech, as in the "optimal
brain surgeon" (Hassibi & Stork 1992): a unit costs what the output loses when all others make up for it
in the sense of least squares. Block by block; each is given what the narrower blocks before it make of the speech.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.networks import transformer
from training.networks.pretrained import WIDTH
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)
Float = NDArray[np.float64]
TURNS: Final = 16
"""Units are removed in so many parts; after each it is measured anew what the others cost."""
RIDGE: Final = 1e-4
"""Added to the mean square of each unit, in units of the mean over all."""


def narrow(wide: Any, recipe: Recipe, served: Sequence[tuple[Any, Any]]) -> list[NDArray[np.float32]]:
    """Return the weights of the network of a recipe, float32 `[...]`, made from those of a wider `transformer.Whisper`.

    All but the feed-forward parts are the same. `served`: batches of features, float32 `[n, frames, 80]`, and masks,
    `[n, frames // 2]`, that the units are measured on; a few hundred utterances will do.
    """
    made = transformer.make(recipe, wide.labels)
    wide.trainable = made.trainable = False
    for target, source in zip(made.weights, wide.weights, strict=True):
        if target.shape == source.shape:
            target.assign(source)
    inputs = [made.front([ops.convert_to_tensor(part) for part in batch]) for batch in served]
    for index, (block, narrower) in enumerate(zip(wide.blocks, made.blocks, strict=True)):
        # One batch at a time is on the graphics card: what blocks hand on is kept in memory as NumPy has it.
        halves = []
        products = np.zeros((block.units + 1, block.units + 1))
        for x, mask in inputs:
            half = block.attend(ops.convert_to_tensor(x), (1.0 - mask[:, None, None, :]) * transformer.MASKED)
            tokens = ops.convert_to_numpy(block.hidden(half))[ops.convert_to_numpy(mask) > 0].astype(
                np.float64
            )
            tokens = np.concatenate([tokens, np.ones((len(tokens), 1))], axis=1)
            products += tokens.T @ tokens
            halves.append((ops.convert_to_numpy(half), mask))
        down = np.concatenate([ops.convert_to_numpy(part).reshape(-1, WIDTH) for part in block.down.weights])
        kept, rest, error = remaining(products, down.astype(np.float64), narrower.units)
        kernel, bias = (ops.convert_to_numpy(part) for part in block.up.weights)
        narrower.up.set_weights([kernel[:, kept], bias[kept]])
        narrower.down.set_weights([rest[:-1].astype(np.float32), rest[-1].astype(np.float32)])
        log.info(
            "block %d: %d of %d units, error %.2f %%",
            index + 1, narrower.units, block.units, 100 * error,
        )  # fmt: skip
        inputs = [
            (ops.convert_to_numpy(half + narrower.down(narrower.hidden(ops.convert_to_tensor(half)))), mask)
            for half, mask in halves
        ]
    weights: list[NDArray[np.float32]] = made.get_weights()
    return weights


def remaining(products: Float, down: Float, units: int) -> tuple[NDArray[np.int64], Float, float]:
    """Choose the units that stay, and their weights.

    `products`, float64 `[n + 1, n + 1]`: sums of products of any two units over all tokens; the last is always 1.
    `down`, float64 `[n + 1, width]`: weights of each, and the bias. Returns the places of the `units` that stay, int64
    `[units]`, their weights and bias, float64 `[units + 1, width]`, and the mean squared error as a share of the mean
    square without removal.
    """
    count = len(down) - 1
    moments = products / products[-1, -1]
    moments[np.diag_indices(count)] += RIDGE * float(np.mean(np.diag(moments)[:-1]))
    crossed = moments @ down
    kept = np.arange(count + 1)
    part = max(1, -(-(count - units) // TURNS))
    while len(kept) - 1 > units:
        inverse = np.linalg.inv(moments[np.ix_(kept, kept)])
        weights = inverse @ crossed[kept]
        cost = np.square(weights[:-1]).sum(axis=1) / np.diag(inverse)[:-1]
        drop = np.argsort(cost, kind="stable")[: min(part, len(kept) - 1 - units)]
        kept = np.delete(kept, drop)
    rest = np.linalg.solve(moments[np.ix_(kept, kept)], crossed[kept])
    missing = down.copy()
    missing[kept] -= rest
    error = float((missing * (moments @ missing)).sum() / (down * crossed).sum())
    return kept[:-1].astype(np.int64), rest, error
