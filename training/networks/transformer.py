"""The networks, written with `keras.ops`: TensorFlow, PyTorch or JAX can be the backend.

Input: log-mel features `[batch, frames, 80]` (an even number of frames, zeros as padding) and a mask of valid tokens
`[batch, frames // 2]` (1.0 or 0.0). Output: logits `[batch, labels]`, embedding `[batch, size]`, and the arousal
`[batch, 1]` of a relative head. All are linear in the embedding, so a baseline of outputs does what one of embeddings
would.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from edge.inference import features
from edge.protocol import LABELS
from training.networks import folded, small
from training.networks.head import Solved, compress
from training.networks.pretrained import HEADS, QUERY_SCALE, WIDTH
from training.recipes.recipe import WHISPER_UNITS, Recipe

MASKED: Final = -1e4
"""What is added to attention scores of a token that is none."""


class Block(layers.Layer):  # type: ignore[misc]
    """One pre-norm transformer block of Whisper: self-attention and feed-forward, exact GELU."""

    def __init__(self, units: int = WHISPER_UNITS, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.qkv = layers.Dense(3 * WIDTH, name="qkv")
        self.out = layers.Dense(WIDTH, name="out")
        self.ffn_norm = layers.LayerNormalization(epsilon=1e-5, name="ffn_norm")
        self.up = layers.Dense(units, name="up")
        self.down = layers.Dense(WIDTH, name="down")

    def build(self, shape: Any) -> None:
        """Create the weights; all shapes are fixed, `[batch, tokens, 512]`."""
        for layer in (self.attention_norm, self.qkv, self.out, self.ffn_norm, self.up):
            layer.build((None, None, WIDTH))
        self.down.build((None, None, self.units))
        self.built = True

    def call(self, x: Any, bias: Any) -> Any:
        """Apply the block to `[batch, tokens, 512]`.

        `bias` `[batch, 1, 1, tokens]` is added to the attention scores: 0, or very negative where a token is masked.
        """
        x = self.attend(x, bias)
        return x + self.down(self.hidden(x))

    def attend(self, x: Any, bias: Any) -> Any:
        """The first half of `call`: self-attention, `[batch, tokens, 512]`."""
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
        scores = ops.matmul(query * QUERY_SCALE, ops.transpose(key, (0, 1, 3, 2)))
        mixed = ops.matmul(ops.softmax(scores + bias, axis=-1), value)
        return x + self.out(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (batch, tokens, WIDTH)))

    def hidden(self, x: Any) -> Any:
        """Return the values of the units of the feed-forward part, `[batch, tokens, units]`, for what `attend` gave."""
        return ops.gelu(self.up(self.ffn_norm(x)), approximate=False)


def merge_tokens(x: Any, mask: Any, size: int) -> tuple[Any, Any]:
    """Average each `size` neighbouring tokens of `[batch, tokens, width]`, leaving masked ones out.

    Returns the mask, too.
    """
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
    """The first layers of Whisper with statistics over time of each layer, and two linear layers.

    Between pooled features and logits there is nothing trained but an affine map: what is known about unseen speakers
    is in the encoder, and a head with more freedom loses it (measurements in docs/model/base.md).
    """

    def __init__(self, recipe: Recipe, labels: int = len(LABELS), **options: Any) -> None:
        super().__init__(**options)
        self.conv1 = layers.Conv1D(WIDTH, 3, padding="valid", name="conv1", trainable=recipe.train_front)
        self.conv2 = layers.Conv1D(
            WIDTH, 3, strides=2, padding="valid", name="conv2", trainable=recipe.train_front
        )
        self.blocks = [Block(recipe.feed_forward, name=f"block_{index}") for index in range(recipe.layers)]
        for block in self.blocks[: recipe.freeze]:
            block.trainable = False
        self.folded: list[folded.FoldedBlock] = []
        self.first_pooled = recipe.first_pooled
        size = 2 * WIDTH * (recipe.layers - recipe.first_pooled + 1)
        self.positions = self.add_weight(
            shape=(features.DEFAULT.tokens, WIDTH), trainable=False, name="positions"
        )
        self.centre = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="centre")
        self.scale = self.add_weight(shape=(size,), initializer="ones", trainable=False, name="scale")
        self.embed = layers.Dense(recipe.embedding, name="embed")
        self.drop = layers.Dropout(recipe.dropout, seed=2, name="drop")
        self.kernel = self.add_weight(
            shape=(recipe.embedding, labels), initializer="glorot_uniform", name="classify_kernel"
        )
        self.bias = self.add_weight(shape=(labels,), initializer="zeros", name="classify_bias")
        self.arousal: tuple[Any, Any] | None = None
        if recipe.relative is not None:
            self.arousal = (
                self.add_weight(shape=(recipe.embedding, 1), initializer="zeros", name="arousal_kernel"),
                self.add_weight(shape=(1,), initializer="zeros", name="arousal_bias"),
            )
        self.labels = labels
        self.pooled_size = size
        self.merge = recipe.merge

    def build(self, shape: Any = None) -> None:
        """Create all weights; the shapes are those of Whisper."""
        self.conv1.build((None, None, 80))
        self.conv2.build((None, None, WIDTH))
        for block in self.blocks:
            block.build((None, None, WIDTH))
        self.embed.build((None, self.pooled_size))
        self.built = True

    def tokens(self, inputs: Any) -> tuple[list[Any], Any]:
        """Run (features `[batch, frames, 80]`, mask `[batch, frames // 2]`) through the blocks.

        Return the outputs of each block, each `[batch, tokens, 512]`, and the mask `[batch, tokens]`:
        such a token is `merge` of those of the given mask.
        """
        x, mask = self.front(inputs)
        bias = (1.0 - mask[:, None, None, :]) * MASKED
        outputs = []
        for block in self.folded or self.blocks:
            x = block(x, bias)
            outputs.append(x)
        return outputs, mask

    def front(self, inputs: Any) -> tuple[Any, Any]:
        """Return what the first block is given, `[batch, tokens, 512]`, and the mask, as `tokens` does."""
        mel, mask = inputs
        tokens = ops.shape(mel)[1] // 2
        x = ops.gelu(self.conv1(ops.pad(mel, ((0, 0), (1, 1), (0, 0)))), approximate=False)
        x = ops.gelu(self.conv2(ops.pad(x, ((0, 0), (1, 0), (0, 0)))), approximate=False)
        x = x + self.positions[:tokens]
        return merge_tokens(x, mask, self.merge) if self.merge > 1 else (x, mask)

    def pool(self, inputs: Any) -> Any:
        """Return mean and deviation over the valid tokens of each pooled block, `[batch, pooled layers * 1024]`."""
        return self.pool_outputs(*self.tokens(inputs))

    def pool_outputs(self, outputs: list[Any], mask: Any) -> Any:
        """Return the pooled features, as `pool` does, of what `tokens` has returned."""
        weights = (mask / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0))[:, :, None]
        pooled = []
        for x in outputs[self.first_pooled - 1 :]:
            mean = ops.sum(weights * x, axis=1)
            variance = ops.sum(weights * ops.square(x - mean[:, None, :]), axis=1)
            pooled += [mean, ops.sqrt(variance + 1e-6)]
        return ops.concatenate(pooled, axis=-1)

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, ...]:
        """Map (features, mask) to (logits, embedding), and with a relative head also to arousal `[batch, 1]`."""
        standard = (self.pool(inputs) - self.centre) * self.scale
        # In two pieces: the converter would multiply `scale` into the kernel, whose columns int8 could then not hold.
        half = self.pooled_size // 2
        embedding = self.embed(ops.concatenate([standard[:, :half], standard[:, half:]], axis=-1))
        dropped = self.drop(embedding, training=training)
        # Not a dense layer: the converter would round its input to 256 steps of the largest component.
        logits = ops.sum(dropped[:, :, None] * self.kernel, axis=1) + self.bias
        if self.arousal is None:
            return logits, embedding
        kernel, bias = self.arousal
        return logits, embedding, ops.sum(dropped[:, :, None] * kernel, axis=1) + bias

    def fold(self) -> None:
        """Compute with constants from now on, made of the present weights: the same outputs from fewer operators.

        For a graph. The weights stay what they are, and no longer matter.
        """
        self.folded = [folded.FoldedBlock(block) for block in self.blocks]

    def install(self, head: Solved) -> None:
        """Set the weights of a solved head.

        A smaller embedding keeps only the directions that the outputs depend on.
        """
        if head.components.shape[1] > self.embed.kernel.shape[1]:
            head = compress(head, self.embed.kernel.shape[1])
        self.centre.assign(head.centre)
        self.scale.assign(head.scale)
        short = self.embed.kernel.shape[1] - head.components.shape[1]
        components = np.pad(head.components, ((0, 0), (0, short)))
        self.embed.set_weights([components, np.zeros(components.shape[1], np.float32)])
        kernel = np.pad(head.kernel, ((0, short), (0, 0)))
        self.kernel.assign(kernel[:, : self.labels])
        self.bias.assign(head.bias[: self.labels])
        if self.arousal is not None:
            self.arousal[0].assign(kernel[:, self.labels :])
            self.arousal[1].assign(head.bias[self.labels :])

    def load_pretrained(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Set the weights of the encoder from what `training.networks.pretrained.load` returns.

        The network must be built. `arrays`: float32, by the names of that file; dense kernels are `[out, in]`,
        those of convolutions `[out, in, 3]`. Raises `KeyError` where one is missing.
        """
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


HEAD_PREFIXES = ("embed", "classify", "arousal")


def is_head(path: str) -> bool:
    """Whether a variable, given by its path, belongs to the head, which has a higher learning rate than the trunk."""
    return any(part.startswith(HEAD_PREFIXES) for part in path.split("/"))


def make(recipe: Recipe, labels: int = len(LABELS)) -> Any:
    """Make and build a transformer network with random weights."""
    if recipe.architecture == "student":
        return small.make(recipe, labels)
    if recipe.architecture != "whisper":
        raise ValueError(f"unknown architecture {recipe.architecture}")
    network = Whisper(recipe, labels, name=recipe.name)
    network.build()
    return network
