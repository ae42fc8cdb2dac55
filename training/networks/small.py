"""A convolutional student of Whisper, int8 from end to end, with operators that tflite-runtime 2.14, the oldest, has.

The same inputs and outputs as `transformer.py`: log-mel features `[batch, frames, 80]` and a mask of valid tokens
`[batch, frames // 2]` to logits `[batch, labels]` and embedding `[batch, size]`.

The two convolutions of Whisper as they came, then residual blocks of one depthwise and two pointwise convolutions. The
blocks learn to predict the output of Whisper's transformer layers for each token (`distillation.py`), so they need no
labels, and learn from as many speakers as there are recordings. Attention needs softmax, layer normalisation and
products of two activations, which int8 describes badly; convolutions with ReLU it describes well. There is no batch
normalisation: blocks begin as the identity (Zhang et al. 2019, "Fixup", arXiv 1901.09321).

**The mean over valid time in int8.** A sum over at most 150 tokens divided by their number would need a range of 1 to
150. Here each token is multiplied by `weight = mask * 150 / count` *before* a plain mean over all 150, so short and
long speech use the same range. There is no division either: the mask is a run of ones and then zeros, a thermometer,
so any function of its count is one linear layer on it (`count_weights`), with weights that are whole int8 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from edge.inference import features as spec
from edge.protocol import LABELS
from training.networks.head import Solved, compress
from training.recipes.recipe import Recipe, Student

FEWEST: Final = 20
"""Tokens below which the mean is not scaled up any more: 0.4 s, and shorter speech is `uncertain` anyway."""
FRONT: Final = 512
"""Channels of Whisper's convolutions."""
PARTS: Final = 3
STILL: Final = 0.002
"""Standard deviation over tokens below which a channel of the front is taken for constant; the median is 0.1."""
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Some channels of the second convolution, with the part of the layer `entry` that uses them."""

    conv: Float
    conv_bias: Float
    entry: Float
    bias: Float


def count_weights(steps: int, fewest: int = FEWEST) -> tuple[NDArray[np.float32], float]:
    """Kernel `[steps]` and bias with `mask @ kernel + bias == steps / max(count, fewest)` for a run of ones.

    The kernel holds multiples of its largest value / 127, as symmetric int8 will; each rounding error is handed to the
    next value (error diffusion), so that sums stay within half a step: 0.3 % of the largest result.
    """
    wanted = steps / np.maximum(np.arange(steps + 1), fewest)
    step = float(np.abs(np.diff(wanted)).max()) / 127.0
    levels = np.round((wanted - wanted[0]) / step)
    return (np.diff(levels) * step).astype(np.float32), float(wanted[0])


class Pointwise(layers.Dense):  # type: ignore[misc]
    """A dense layer that becomes a 1x1 convolution.

    Dense layers have one scale for all outputs, and the reference kernels of LiteRT and tflite-runtime round them
    differently (by one step, in 3 of 24 inputs); convolutions have a scale for each output and give the same bits.
    """

    def call(self, x: Any) -> Any:
        """Apply the layer to `[batch, 1, 1, before]`; returns `[batch, 1, 1, units]`."""
        y = pointwise(x, self.kernel)
        return y + self.bias if self.use_bias else y


def pointwise(x: Any, kernel: Any) -> Any:
    """Apply a 1x1 convolution: `[batch, 1, 1, before]` times the kernel `[before, after]`."""
    return ops.conv(
        x, ops.reshape(kernel, (1, 1, *kernel.shape)), padding="valid", data_format="channels_last"
    )


class Block(layers.Layer):  # type: ignore[misc]
    """A residual block: a depthwise convolution over time, then two pointwise convolutions across channels."""

    def __init__(self, width: int, reach: int, **options: Any) -> None:
        super().__init__(**options)
        self.depthwise = layers.DepthwiseConv1D(reach, padding="same", name="depthwise")
        self.up = layers.Conv1D(width, 1, activation="relu", name="up")
        self.down = layers.Conv1D(width, 1, kernel_initializer="zeros", name="down")
        self._width = width

    def build(self, shape: Any = None) -> None:
        """Create the weights; they do not depend on the number of tokens."""
        for layer in (self.depthwise, self.up, self.down):
            layer.build((None, None, self._width))
        self.built = True

    def call(self, x: Any, mask: Any) -> Any:
        """Apply the block to tokens `[batch, tokens, width]` with their mask `[batch, tokens, 1]`.

        Masked tokens stay zero.
        """
        return x + self.down(self.up(self.depthwise(x))) * mask


class Small(keras.Model):  # type: ignore[misc]
    """The small convolutional network, a student of Whisper (head of this file).

    Sizes are those of the recipe's `student`.
    """

    def __init__(self, recipe: Recipe, student: Student, labels: int, **options: Any) -> None:
        super().__init__(**options)
        width = student.width
        self.conv1 = layers.Conv1D(FRONT, 3, padding="valid", name="conv1", trainable=recipe.train_front)
        self.conv2 = layers.Conv1D(
            FRONT, 3, strides=2, padding="valid", name="conv2", trainable=recipe.train_front
        )
        self.entry = layers.Conv1D(width, 1, name="entry")
        self.blocks = [Block(width, student.reach, name=f"block_{index}") for index in range(student.blocks)]
        self.exit = layers.Conv1D(width, 1, name="exit")
        self.embed_mean = Pointwise(recipe.embedding, use_bias=False, name="embed_mean")
        self.embed_deviation = Pointwise(recipe.embedding, name="embed_deviation")
        self.classify = Pointwise(labels, name="classify")
        self.arousal = Pointwise(1, name="arousal") if recipe.relative is not None else None
        for solved in (self.embed_mean, self.embed_deviation, self.classify, self.arousal):
            if solved is not None:
                solved.trainable = False
        self.split_front: list[Part] | None = None
        self.width, self.size, self.labels = width, recipe.embedding, labels
        self.pooled_size = 2 * width

    def build(self, shape: Any = None) -> None:
        """Create all weights; the shapes follow from the recipe."""
        self.conv1.build((None, None, spec.DEFAULT.mels))
        self.conv2.build((None, None, FRONT))
        self.entry.build((None, None, FRONT))
        for block in self.blocks:
            block.build()
        self.exit.build((None, None, self.width))
        self.embed_mean.build((None, 1, 1, self.width))
        self.embed_deviation.build((None, 1, 1, self.width))
        self.classify.build((None, 1, 1, self.size))
        if self.arousal is not None:
            self.arousal.build((None, 1, 1, self.size))
        self.built = True

    def _first(self, inputs: Any) -> Any:
        """Behind the first convolution, padded for the second: `[batch, frames + 2, 512]`."""
        mel, mask = inputs
        # What lies beyond the mask is not heard, whatever it is; two frames are one token.
        tokens, bands = ops.shape(mask)[1], mel.shape[2]
        x = ops.reshape(mel, (-1, tokens, 2 * bands)) * ops.expand_dims(mask, -1)
        x = ops.reshape(x, (-1, 2 * tokens, bands))
        # Padding of one on each side, as PyTorch pads: "same" with a stride of 2 would pad on one side only.
        x = ops.gelu(self.conv1(ops.pad(x, ((0, 0), (1, 1), (0, 0)))), approximate=False)
        return ops.pad(x, ((0, 0), (1, 1), (0, 0)))

    def front(self, inputs: Any) -> Any:
        """Return the output of Whisper's two convolutions, `[batch, tokens, 512]`."""
        return ops.gelu(self.conv2(self._first(inputs)), approximate=False)

    def _enter(self, inputs: Any) -> Any:
        """`[batch, tokens, width]`."""
        if self.split_front is None:
            return self.entry(self.front(inputs))
        x, result = self._first(inputs), None
        for part in self.split_front:
            activations = (
                ops.conv(x, part.conv, strides=2, padding="valid", data_format="channels_last")
                + part.conv_bias
            )
            entered = ops.conv(
                ops.gelu(activations, approximate=False),
                part.entry,
                padding="valid",
                data_format="channels_last",
            )
            result = entered + part.bias if result is None else result + entered
        return result

    def split_for_int8(self, inputs: tuple[Float, Float]) -> None:
        """Split the 512 channels of the front into parts of similar range, each with an int8 scale of its own.

        Some channels are a thousand times as large as others, and the small ones carry as much information. Channels
        that hardly vary on `inputs` (features `[batch, frames, 80]` and mask, float32) are removed and their mean goes
        into the bias. The float outputs of the network do not change.
        """
        activations = ops.convert_to_numpy(self.front(inputs))[inputs[1] > 0]
        (conv, conv_bias), (entry, bias) = self.conv2.get_weights(), self.entry.get_weights()
        moves = activations.std(axis=0) >= STILL
        bias = bias + activations.mean(axis=0)[~moves] @ entry[0][~moves]
        order = np.flatnonzero(moves)
        order = order[np.argsort(activations[:, order].max(axis=0))]
        self.split_front = [
            Part(conv[:, :, own], conv_bias[own], entry[:, own], bias) for own in np.array_split(order, PARTS)
        ]

    def tokens(self, inputs: Any) -> Any:
        """Return one vector for each 20 ms, `[batch, tokens, width]`."""
        mask = ops.expand_dims(inputs[1], -1)
        x = self._enter(inputs) * mask
        for block in self.blocks:
            x = block(x, mask)
        return self.exit(x)

    def _pools(self, inputs: Any) -> tuple[Any, Any]:
        """Mean over valid tokens, and half of the mean absolute deviation: `[batch, 1, width]` each."""
        x, mask = whole_window(self.tokens(inputs), inputs[1])
        weight = token_weights(mask)
        mean = ops.mean(x * weight, axis=1, keepdims=True)
        # Above the mean is as far as below it. No squares and no root: int8 describes it as well as the mean.
        return mean, ops.mean(ops.relu(x - mean) * weight, axis=1, keepdims=True)

    def pool(self, inputs: Any) -> Any:
        """Return the pooled features, `[batch, 2 * width]`."""
        return ops.reshape(ops.concatenate(self._pools(inputs), axis=-1), (-1, self.pooled_size))

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, ...]:
        """Map (features, mask) to (logits, embedding), and with a relative head also to arousal `[batch, 1]`."""
        mean, deviation = (ops.reshape(part, (-1, 1, 1, self.width)) for part in self._pools(inputs))
        embedding = self.embed_mean(mean) + self.embed_deviation(deviation)
        logits = self.classify(embedding)
        found = (ops.reshape(logits, (-1, self.labels)), ops.reshape(embedding, (-1, self.size)))
        if self.arousal is None:
            return found
        return *found, ops.reshape(self.arousal(embedding), (-1, 1))

    def load_pretrained(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Load the two convolutions of Whisper's encoder; the arrays are `[out, in, 3]`."""
        for name, conv in (("conv1", self.conv1), ("conv2", self.conv2)):
            conv.set_weights([arrays[f"{name}.weight"].transpose(2, 1, 0), arrays[f"{name}.bias"]])

    def install(self, head: Solved) -> None:
        """Set the weights of the last layers to those that the closed-form fit has found.

        They are scaled so that all channels of a tensor have a similar range, which int8 needs: over speech the
        channels of `exit` have mean 0 and deviation 1, and the numbers of the embedding deviation 1.
        """
        width, head = self.width, compress(head, self.size)
        kernel, bias = (ops.convert_to_numpy(part) for part in self.exit.get_weights())
        gain = head.scale[:width]
        self.exit.set_weights([kernel * gain, (bias - head.centre[:width]) * gain])
        # The deviation grew with the gain of its channel; the rest of its scale goes into the weights.
        rest = head.scale[width:] / gain
        upper, lower = head.components[:width], rest[:, None] * head.components[width:]
        shift = -(head.centre[width:] * gain) @ lower
        self.embed_mean.set_weights([upper])
        self.embed_deviation.set_weights([lower, shift])
        self.classify.set_weights([head.kernel[:, : self.labels], head.bias[: self.labels]])
        if self.arousal is not None:
            self.arousal.set_weights([head.kernel[:, self.labels :], head.bias[self.labels :]])


def whole_window(x: Any, mask: Any) -> tuple[Any, Any]:
    """Pad tokens and their mask with zeros up to the window of the device."""
    window = spec.DEFAULT.tokens
    if x.shape[1] == window:
        return x, mask
    # The length may be unknown while a backend compiles, so the padding is fixed and what is too much is cut off.
    x = ops.pad(x, ((0, 0), (0, window), (0, 0)))[:, :window]
    mask = ops.pad(mask, ((0, 0), (0, window)))[:, :window]
    return ops.reshape(x, (-1, window, x.shape[2])), ops.reshape(mask, (-1, window))


def token_weights(mask: Any) -> Any:
    """Turn the mask `[batch, tokens]`, ones and then zeros, into weights `[batch, tokens, 1]`.

    Their mean over all tokens is 1 (within 0.3 %) from `FEWEST` valid tokens on, count / `FEWEST` below it.
    The number of tokens must be static.
    """
    tokens = mask.shape[1]
    kernel, bias = count_weights(tokens)
    counted = pointwise(ops.reshape(mask, (-1, 1, 1, tokens)), ops.convert_to_tensor(kernel[:, None]))
    return ops.expand_dims(mask * (ops.reshape(counted, (-1, 1)) + bias), -1)


def make(recipe: Recipe, labels: int = len(LABELS)) -> Small:
    """Make and build a small network with random weights."""
    network = Small(recipe, recipe.student or Student(), labels, name=recipe.name)
    network.build()
    return network
