"""The output layer: as it is solved, and as a file of the bundle, with which the device moves an embedding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.protocol import LABELS
from edge.util.errors import UserError

TOLERANCE: Final = 0.15
"""Of the size of the logits: rounding to int8 in the graph moves them by less (by 0.02 in `small-0.3.0`)."""


Float = NDArray[np.float32]


@dataclass(frozen=True)
class Solved:
    """A linear head found in closed form: `logits = ((pooled - centre) * scale) @ components @ kernel + bias`."""

    centre: Float
    scale: Float
    components: Float
    """`[pooled, embedding]`: principal components, orthonormal until `compress`."""
    spread: Float
    """Standard deviation along each component."""
    kernel: Float
    bias: Float
    loss: float
    """Mean weighted cross-entropy on what it was solved for."""
    relative_bias: Float | None = None
    """`[8]`: what a relative head adds to the difference from a baseline; None: an absolute head. `kernel` and `bias`
    of a relative head have an eighth column, the arousal."""

    def logits(self, pooled: Float) -> NDArray[np.float64]:
        """Return the outputs for pooled features `[n, pooled]`: float64 `[n, labels]`.

        Those of a relative head have one column more, the last: the arousal.
        """
        found = ((pooled - self.centre) * self.scale) @ self.components @ self.kernel + self.bias
        return found.astype(np.float64)


def compress(head: Solved, size: int) -> Solved:
    """Return an equivalent head with an embedding of only `size` numbers, uncorrelated and of unit deviation.

    The embedding spans the directions that the outputs depend on (one fewer than labels), then the largest components
    of what is left. Raises `ValueError` where `size` is smaller than that.
    """
    whitened = head.spread[:, None] * head.kernel
    left, values, _ = np.linalg.svd(whitened.astype(np.float64), full_matrices=False)
    needed = left[:, values > 1e-6 * values[0]]
    if needed.shape[1] > size:
        raise ValueError(f"an embedding of {size} is too small for {needed.shape[1]} directions")
    basis, _ = np.linalg.qr(np.concatenate([needed, np.eye(len(needed))], axis=1))
    basis = basis[:, :size]
    components = head.components @ (basis / head.spread[:, None])
    return Solved(
        head.centre, head.scale, components.astype(np.float32), np.ones(basis.shape[1], np.float32),
        (basis.T @ whitened).astype(np.float32), head.bias, head.loss, head.relative_bias,
    )  # fmt: skip


def write(out: Path, weights: Sequence[NDArray[Any]], golden: Path, size: int) -> None:
    """Write `kernel` `[size, 7]` and `bias` `[7]` of the layer `classify`, found among a network's weights.

    The golden outputs prove that it is the graph's own layer. Raises `UserError` where it is not.
    """
    shape = (size, len(LABELS))
    found = [
        (kernel, bias)
        for kernel, bias in itertools.pairwise(weights)
        if kernel.shape == shape and bias.shape == shape[1:]
    ]
    if not found:
        raise UserError(f"no layer of {size} to {len(LABELS)} is among the weights of this run")
    kernel, bias = (array.astype(np.float32) for array in found[-1])
    with np.load(golden, allow_pickle=False) as archive:
        logits, embedding = archive["logits"], archive["embedding"]
    # The outputs of a full-int8 graph end at the range that it was calibrated for: what is cut off says nothing.
    inside = (logits > logits.min()) & (logits < logits.max())
    difference = (embedding @ kernel + bias - logits)[inside]
    error = float(np.linalg.norm(difference) / np.linalg.norm(logits[inside]))
    if error > TOLERANCE:
        raise UserError(f"the output layer of the weights is not that of the graph: {error:.0%} apart")
    np.savez(out, kernel=kernel, bias=bias)
