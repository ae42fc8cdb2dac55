"""A transformer block as a graph has it: the same numbers as `transformer.Block` from fewer and cheaper operators.

The bias of a layer norm and the scale of the attention scores are folded into the dense layers behind them, so a layer
norm is six operators in place of eleven. What it is multiplied by (gamma) stays where it is: in the weights it would
cost accuracy in int8. Measured in docs/decisions/0032-a-folded-graph.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.networks.pretrained import HEADS, QUERY_SCALE, WIDTH

Dense = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Kernel `[in, out]` and bias `[out]`."""


class FoldedBlock:
    """The constants of a block; `transformer.Block` has the layers that are folded. It cannot be trained."""

    def __init__(self, block: Any) -> None:
        kernel, bias = _behind(block.attention_norm, block.qkv)
        (query, key, value), biases = np.split(kernel, 3, axis=1), np.split(bias, 3)
        self.query: Dense = (query * QUERY_SCALE, biases[0] * QUERY_SCALE)
        self.key: Dense = (key, biases[1])
        self.value: Dense = (value, biases[2])
        self.out = _constants(block.out)
        self.up = _behind(block.ffn_norm, block.up)
        self.down = _constants(block.down)
        self.norms = tuple(
            (ops.convert_to_numpy(norm.gamma), norm.epsilon)
            for norm in (block.attention_norm, block.ffn_norm)
        )

    def __call__(self, x: Any, bias: Any) -> Any:
        """Do the same as `transformer.Block.call`: `[batch, tokens, width]`, `[batch, 1, 1, tokens]`."""
        batch, tokens = ops.shape(x)[0], ops.shape(x)[1]
        (first, first_epsilon), (second, second_epsilon) = self.norms
        normal = _norm(x, first, first_epsilon)
        # Three layers, not one that is cut: to cut copies more than to round the input three times.
        query, key, value = (
            ops.transpose(
                ops.reshape(_dense(normal, part), (batch, tokens, HEADS, WIDTH // HEADS)), (0, 2, 1, 3)
            )
            for part in (self.query, self.key, self.value)
        )
        scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) + bias, axis=-1)
        mixed = ops.transpose(ops.matmul(scores, value), (0, 2, 1, 3))
        x = x + _dense(ops.reshape(mixed, (batch, tokens, WIDTH)), self.out)
        inner = ops.gelu(_dense(_norm(x, second, second_epsilon), self.up), approximate=False)
        return x + _dense(inner, self.down)


def _constants(layer: Any) -> Dense:
    return ops.convert_to_numpy(layer.kernel), ops.convert_to_numpy(layer.bias)


def _behind(norm: Any, layer: Any) -> Dense:
    """A dense layer that also adds what the layer norm before it would have added."""
    kernel, bias = _constants(layer)
    added = ops.convert_to_numpy(norm.beta).astype(np.float64) @ kernel.astype(np.float64)
    return kernel, (bias + added).astype(np.float32)


def _norm(x: Any, gamma: NDArray[np.float32], epsilon: float) -> Any:
    """The layer norm without its bias."""
    away = x - ops.mean(x, axis=-1, keepdims=True)
    # A product, not `square`: XNNPACK sums squares in one pass where it is written so.
    variance = ops.mean(away * away, axis=-1, keepdims=True)
    return away * (ops.rsqrt(variance + epsilon) * gamma)


def _dense(x: Any, layer: Dense) -> Any:
    kernel, bias = layer
    return ops.matmul(x, kernel) + bias
