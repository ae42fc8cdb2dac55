"""A residual CNN that is int8 from end to end, with operators that the oldest runtime (tflite-runtime 2.14) has.

The same inputs and outputs as `training/network.py`: log-mel features `[batch, frames, 80]` and a mask of valid tokens
`[batch, frames // 2]` to logits `[batch, labels]` and embedding `[batch, size]`.

Full 3x3 convolutions with batch normalisation and ReLU (He et al. 2016, arXiv 1512.03385): they fold into one int8
operator each, and their activations are bounded on one side, which is what 256 levels describe well. Time is halved
twice, frequency with each stage, and what is left of frequency goes into the embedding as it is.

**The mean over valid time in int8.** A sum over at most 75 steps divided by their number would need a range of 1 to 75.
Here each step is multiplied by `weight = mask * 75 / count` *before* a plain mean over all 75 steps, so short and long
speech use the same range. There is no division either: the mask is a run of ones and then zeros, a thermometer, so any
function of its count is one dense layer on it (`count_weights`), with weights that are whole numbers of int8 steps.
"""

from __future__ import annotations

import math
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from edge.contract import LABELS
from edge.model import features as spec
from training.recipe import Cnn, Recipe

FEWEST: Final = 10
"""Steps below which the mean is not scaled up any more: 0.4 s, and shorter speech is `uncertain` anyway."""
MOMENTUM: Final = 0.95


def count_weights(steps: int, fewest: int = FEWEST) -> tuple[NDArray[np.float32], float]:
    """Kernel `[steps]` and bias with `mask @ kernel + bias == steps / max(count, fewest)` for a run of ones.

    The kernel holds multiples of its largest value / 127, as symmetric int8 will; each rounding error is handed to the
    next value (error diffusion), so that sums stay within half a step: 0.3 % of the largest result.
    """
    wanted = steps / np.maximum(np.arange(steps + 1), fewest)
    step = float(np.abs(np.diff(wanted)).max()) / 127.0
    levels = np.round((wanted - wanted[0]) / step)
    return (np.diff(levels) * step).astype(np.float32), float(wanted[0])


class Unit(layers.Layer):  # type: ignore[misc]
    """Convolution, batch normalisation and, unless `linear`, ReLU: one operator after conversion."""

    def __init__(
        self,
        before: int,
        after: int,
        strides: tuple[int, int] = (1, 1),
        *,
        linear: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.conv = layers.Conv2D(after, 3, strides=strides, padding="same", use_bias=False, name="conv")
        self.norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=1e-3, name="norm")
        self.linear = linear
        self._before, self._after = before, after

    def build(self, shape: Any = None) -> None:
        """Channels are known, frames and bands do not matter."""
        self.conv.build((None, None, None, self._before))
        self.norm.build((None, None, None, self._after))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """`[batch, frames, bands, before]` to `[..., after]`."""
        x = self.norm(self.conv(x), training=training)
        return x if self.linear else ops.relu(x)


class Pointwise(layers.Dense):  # type: ignore[misc]
    """A dense layer that becomes a 1x1 convolution.

    Dense layers have one scale for all outputs, and the reference kernels of LiteRT and tflite-runtime round them
    differently (by one step, in 3 of 24 inputs); convolutions have a scale for each output and give the same bits.
    """

    def call(self, x: Any) -> Any:
        """`[batch, 1, 1, before]` to `[batch, 1, 1, units]`."""
        y = pointwise(x, self.kernel)
        return y + self.bias if self.use_bias else y


def pointwise(x: Any, kernel: Any) -> Any:
    """`[batch, 1, 1, before]` times `[before, after]`."""
    return ops.conv(
        x, ops.reshape(kernel, (1, 1, *kernel.shape)), padding="valid", data_format="channels_last"
    )


class Residual(layers.Layer):  # type: ignore[misc]
    """Two convolutions beside the identity."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.first = Unit(width, width, name="first")
        self.second = Unit(width, width, linear=True, name="second")

    def build(self, shape: Any = None) -> None:
        """Nothing depends on the shape."""
        self.first.build()
        self.second.build()
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Keeps the shape."""
        return ops.relu(x + self.second(self.first(x, training=training), training=training))


class Small(keras.Model):  # type: ignore[misc]
    """See the head of this file. `cnn` gives the sizes."""

    def __init__(self, recipe: Recipe, cnn: Cnn, labels: int, **options: Any) -> None:
        super().__init__(**options)
        self.units: list[Any] = [Unit(1, cnn.stem, (2, 2), name="stem")]
        bands, width, stride = 40, cnn.stem, (2, 2)
        for stage, (after, blocks) in enumerate(zip(cnn.widths, cnn.blocks, strict=True)):
            self.units.append(Unit(width, after, stride, name=f"stage_{stage}"))
            bands, width, stride = -(-bands // 2), after, (1, 2)
            for block in range(blocks):
                self.units.append(Residual(after, name=f"stage_{stage}_block_{block}"))
        self.deviation = cnn.deviation
        self.pooled = bands * width * (2 if cnn.deviation else 1)
        self.pooled_drop = layers.Dropout(recipe.dropout, seed=1, name="pooled_drop")
        self.embed = Pointwise(recipe.embedding, use_bias=False, name="embed")
        self.embed_norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=1e-3, name="embed_norm")
        self.embed_drop = layers.Dropout(recipe.dropout, seed=2, name="embed_drop")
        self.classify = Pointwise(labels, name="classify")
        self.size, self.labels = recipe.embedding, labels

    def build(self, shape: Any = None) -> None:
        """Shapes are known from the recipe."""
        for unit in self.units:
            unit.build()
        self.embed.build((None, self.pooled))
        self.embed_norm.build((None, 1, 1, self.size))
        self.classify.build((None, self.size))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """`(features, mask)` to `(logits, embedding)`."""
        mel, mask = whole_window(*inputs)
        tokens, bands = mask.shape[1], mel.shape[2]
        # What lies beyond the mask is not heard, whatever it is; two frames are one token.
        x = ops.reshape(mel, (-1, tokens, 2 * bands)) * ops.expand_dims(mask, -1)
        x = ops.reshape(x, (-1, 2 * tokens, bands, 1))
        for unit in self.units:
            x = unit(x, training=training)
        steps = x.shape[1]
        x = ops.reshape(x, (-1, steps, x.shape[2] * x.shape[3]))
        weight = step_weights(ops.reshape(mask, (-1, steps, 2)))
        mean = ops.mean(x * weight, axis=1, keepdims=True)
        pooled = mean
        if self.deviation:
            # Half of the mean absolute deviation: no squares and no root, so int8 describes it as well as the mean.
            above = ops.mean(ops.relu(x - mean) * weight, axis=1, keepdims=True)
            pooled = ops.concatenate([pooled, above], axis=-1)
        pooled = self.pooled_drop(pooled, training=training)
        pooled = ops.reshape(pooled, (-1, 1, 1, self.pooled))
        embedding = ops.relu(self.embed_norm(self.embed(pooled), training=training))
        logits = self.classify(self.embed_drop(embedding, training=training))
        return ops.reshape(logits, (-1, self.labels)), ops.reshape(embedding, (-1, self.size))


def whole_window(mel: Any, mask: Any) -> tuple[Any, Any]:
    """Features and mask with silence behind the speech up to the window of the device.

    In training, too: batch normalisation would else see another share of silence in every batch, and a run that goes on
    after a kill would not end in the same weights (TensorFlow compiles for one length first, then for any).
    """
    window = spec.DEFAULT.window_frames
    if mel.shape[1] == window:
        return mel, mask
    # The length may be unknown while a backend compiles, so the padding is fixed and what is too much is cut off.
    mel = ops.pad(mel, ((0, 0), (0, window), (0, 0)))[:, :window]
    mask = ops.pad(mask, ((0, 0), (0, window // 2)))[:, : window // 2]
    return ops.reshape(mel, (-1, window, mel.shape[2])), ops.reshape(mask, (-1, window // 2))


def step_weights(mask: Any) -> Any:
    """Weights `[batch, steps, 1]` with mean 1 over all steps, from the mask `[batch, steps, 2]` of their tokens."""
    steps = mask.shape[1]
    # A step counts when its first token does.
    valid = mask[:, :, 0]
    kernel, bias = count_weights(steps)
    counted = pointwise(ops.reshape(valid, (-1, 1, 1, steps)), ops.convert_to_tensor(kernel[:, None]))
    return ops.expand_dims(valid * (ops.reshape(counted, (-1, 1)) + bias), -1)


def make(recipe: Recipe, labels: int = len(LABELS)) -> Small:
    """A network with random weights, built."""
    network = Small(recipe, recipe.cnn or Cnn(), labels, name=recipe.name)
    network.build()
    return network


def multiplications(cnn: Cnn) -> int:
    """Multiply-accumulates of the convolutions for one window of the device."""
    frames, bands, before, total = spec.DEFAULT.window_frames // 2, 40, cnn.stem, 0
    total += frames * bands * 9 * cnn.stem
    for stage, (after, blocks) in enumerate(zip(cnn.widths, cnn.blocks, strict=True)):
        frames, bands = (frames // 2 if stage == 0 else frames), math.ceil(bands / 2)
        total += frames * bands * 9 * after * (before + 2 * blocks * after)
        before = after
    return total
