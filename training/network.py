"""The networks, written with `keras.ops`: TensorFlow, PyTorch or JAX can be the backend.

Input: log-mel features `[batch, frames, 80]` (an even number of frames, zeros as padding) and a mask of valid tokens
`[batch, frames // 2]` (1.0 or 0.0). Output: logits `[batch, labels]` and embedding `[batch, size]`. The logits are a
linear function of the embedding, so subtracting a room's mean embedding is the same as shifting the logits.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from edge.contract import LABELS
from edge.model import features
from training.recipe import Recipe

HEADS = 8
WIDTH = 512


class Block(layers.Layer):  # type: ignore[misc]
    """One pre-norm transformer block of Whisper: self-attention and feed-forward, exact GELU."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.qkv = layers.Dense(3 * WIDTH, name="qkv")
        self.out = layers.Dense(WIDTH, name="out")
        self.ffn_norm = layers.LayerNormalization(epsilon=1e-5, name="ffn_norm")
        self.up = layers.Dense(4 * WIDTH, name="up")
        self.down = layers.Dense(WIDTH, name="down")

    def build(self, shape: Any) -> None:
        """Shapes are fixed: `[batch, tokens, 512]`."""
        for layer in (self.attention_norm, self.qkv, self.out, self.ffn_norm, self.up):
            layer.build((None, None, WIDTH))
        self.down.build((None, None, 4 * WIDTH))
        self.built = True

    def call(self, x: Any, bias: Any) -> Any:
        """`bias` `[batch, 1, 1, tokens]` is added to the attention scores: 0 or very negative."""
        # `ops.shape`, not `x.shape`: TensorFlow trains on a graph whose batch and length are not known.
        batch, tokens = ops.shape(x)[0], ops.shape(x)[1]
        qkv = self.qkv(self.attention_norm(x))
        # Slices of rank 3 and at most four dimensions: XNNPACK leaves anything of rank 5 to slow kernels.
        query, key, value = (
            ops.transpose(
                ops.reshape(
                    qkv[:, :, part * WIDTH : (part + 1) * WIDTH], (batch, tokens, HEADS, WIDTH // HEADS)
                ),
                (0, 2, 1, 3),
            )
            for part in range(3)
        )
        scores = ops.matmul(query * (1.0 / math.sqrt(WIDTH // HEADS)), ops.transpose(key, (0, 1, 3, 2)))
        mixed = ops.matmul(ops.softmax(scores + bias, axis=-1), value)
        x = x + self.out(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (batch, tokens, WIDTH)))
        return x + self.down(ops.gelu(self.up(self.ffn_norm(x)), approximate=False))


def merge_tokens(x: Any, mask: Any, size: int) -> tuple[Any, Any]:
    """Averages each `size` neighbouring tokens of `[batch, tokens, width]`, those that are masked left out."""
    width = x.shape[2]
    groups = (ops.shape(x)[1] + size - 1) // size
    # A length that divides evenly (150 by 2 on the device) needs no padding, an unknown one may.
    if x.shape[1] is None or x.shape[1] % size:
        x = ops.pad(x, ((0, 0), (0, size - 1), (0, 0)))[:, : groups * size]
        mask = ops.pad(mask, ((0, 0), (0, size - 1)))[:, : groups * size]
    share = ops.reshape(mask, (-1, groups, size, 1))
    total = ops.sum(share, axis=2)
    summed = ops.sum(ops.reshape(x, (-1, groups, size, width)) * share, axis=2)
    return summed / ops.maximum(total, 1.0), ops.minimum(total[:, :, 0], 1.0)


class Whisper(keras.Model):  # type: ignore[misc]
    """The first layers of Whisper's encoder, a learned average over layers, attentive mean and deviation, a head."""

    def __init__(self, recipe: Recipe, labels: int = len(LABELS), **options: Any) -> None:
        super().__init__(**options)
        self.conv1 = layers.Conv1D(WIDTH, 3, padding="valid", name="conv1", trainable=recipe.train_front)
        self.conv2 = layers.Conv1D(
            WIDTH, 3, strides=2, padding="valid", name="conv2", trainable=recipe.train_front
        )
        self.blocks = [Block(name=f"block_{index}") for index in range(recipe.layers)]
        for block in self.blocks[: recipe.freeze]:
            block.trainable = False
        self.score_hidden = layers.Dense(64, activation="tanh", name="score_hidden")
        self.score = layers.Dense(1, name="score")
        self.pooled_norm = layers.LayerNormalization(epsilon=1e-5, name="pooled_norm")
        self.pooled_drop = layers.Dropout(recipe.dropout, seed=1, name="pooled_drop")
        self.embed = layers.Dense(recipe.embedding, name="embed")
        self.embed_drop = layers.Dropout(recipe.dropout, seed=2, name="embed_drop")
        self.classify = layers.Dense(labels, name="classify")
        self.positions = self.add_weight(
            shape=(features.DEFAULT.tokens, WIDTH), trainable=False, name="positions"
        )
        self.mixture = self.add_weight(shape=(recipe.layers + 1,), initializer="zeros", name="mixture")
        self.size = recipe.embedding
        self.merge = recipe.merge

    def build(self, shape: Any = None) -> None:
        """Shapes are fixed by Whisper."""
        self.conv1.build((None, None, 80))
        self.conv2.build((None, None, WIDTH))
        for block in self.blocks:
            block.build((None, None, WIDTH))
        self.score_hidden.build((None, None, WIDTH))
        self.score.build((None, None, 64))
        self.pooled_norm.build((None, 2 * WIDTH))
        self.embed.build((None, 2 * WIDTH))
        self.classify.build((None, self.size))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """`(features, mask)` to `(logits, embedding)`."""
        mel, mask = inputs
        tokens = ops.shape(mel)[1] // 2
        x = ops.gelu(self.conv1(ops.pad(mel, ((0, 0), (1, 1), (0, 0)))), approximate=False)
        x = ops.gelu(self.conv2(ops.pad(x, ((0, 0), (1, 0), (0, 0)))), approximate=False)
        x = x + self.positions[:tokens]
        if self.merge > 1:
            x, mask = merge_tokens(x, mask, self.merge)
        bias = (1.0 - mask[:, None, None, :]) * -1e4
        share = ops.softmax(self.mixture)
        mixed = x * share[0]
        for index, block in enumerate(self.blocks):
            x = block(x, bias)
            mixed = mixed + x * share[index + 1]
        scores = self.score(self.score_hidden(mixed)) + (mask[:, :, None] - 1.0) * 1e4
        weights = ops.softmax(scores, axis=1)
        mean = ops.sum(weights * mixed, axis=1)
        variance = ops.sum(weights * ops.square(mixed - mean[:, None, :]), axis=1)
        pooled = ops.concatenate([mean, ops.sqrt(variance + 1e-5)], axis=-1)
        pooled = self.pooled_drop(self.pooled_norm(pooled), training=training)
        embedding = ops.gelu(self.embed(pooled), approximate=False)
        logits = self.classify(self.embed_drop(embedding, training=training))
        return logits, embedding

    def load_pretrained(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Takes the encoder's weights; Dense weights there are `[out, in]`, Conv1D `[out, in, 3]`."""
        for name, conv in (("conv1", self.conv1), ("conv2", self.conv2)):
            conv.set_weights([arrays[f"{name}.weight"].transpose(2, 1, 0), arrays[f"{name}.bias"]])
        self.positions.assign(arrays["position_encodings.encodings"][: features.DEFAULT.tokens])
        for index, block in enumerate(self.blocks):
            for layer, name in (
                (block.qkv, "attention.qkv"), (block.out, "attention.out"),
                (block.up, "ffn.up"), (block.down, "ffn.down"),
            ):  # fmt: skip
                key = f"layer_{index}.{name}"
                layer.set_weights([arrays[f"{key}.weight"].T, arrays[f"{key}.bias"]])
            for layer, name in ((block.attention_norm, "attention.norm"), (block.ffn_norm, "ffn.norm")):
                key = f"layer_{index}.{name}"
                layer.set_weights([arrays[f"{key}.gamma"], arrays[f"{key}.beta"]])


HEAD_PREFIXES = ("score", "pooled_norm", "embed", "classify", "mixture")


def is_head(path: str) -> bool:
    """Whether a variable belongs to the head, which learns faster than the trunk."""
    return any(part.startswith(HEAD_PREFIXES) for part in path.split("/"))


def make(recipe: Recipe, labels: int = len(LABELS)) -> Whisper:
    """A network with random weights, built."""
    if recipe.architecture != "whisper":
        raise ValueError(f"unknown architecture {recipe.architecture}")
    network = Whisper(recipe, labels, name=recipe.name)
    network.build()
    return network
