"""Silero's network for 16 kHz, rebuilt in TensorFlow from the weights in its ONNX file.

One step hears 576 samples (64 of the block before, 512 new ones): short-time Fourier magnitudes (256 points, hop 128,
64 samples reflected at the end), four convolutions, an LSTM cell of 128 units, one output. The original is a graph of
160 nodes with branches; this is what it computes for a batch of one, with operators that tflite-runtime 2.14 has.

Source: https://github.com/snakers4/silero-vad (MIT licence, Copyright (c) 2020-present Silero Team).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CONTEXT: Final = 64
BLOCK: Final = 512
UNITS: Final = 128
BINS: Final = 129
HOP: Final = 128
SHAPES: Final = {
    "stft.forward_basis_buffer": (2 * BINS, 1, 2 * HOP),
    "encoder.0.reparam_conv.weight": (128, BINS, 3),
    "encoder.0.reparam_conv.bias": (128,),
    "encoder.1.reparam_conv.weight": (64, 128, 3),
    "encoder.1.reparam_conv.bias": (64,),
    "encoder.2.reparam_conv.weight": (64, 64, 3),
    "encoder.2.reparam_conv.bias": (64,),
    "encoder.3.reparam_conv.weight": (128, 64, 3),
    "encoder.3.reparam_conv.bias": (128,),
    "decoder.rnn.weight_ih": (4 * UNITS, UNITS),
    "decoder.rnn.weight_hh": (4 * UNITS, UNITS),
    "decoder.rnn.bias_ih": (4 * UNITS,),
    "decoder.rnn.bias_hh": (4 * UNITS,),
    "decoder.decoder.2.weight": (1, UNITS, 1),
    "decoder.decoder.2.bias": (1,),
}

Float = NDArray[np.float32]


class WeightsError(ValueError):
    """The ONNX file is not the Silero network that this module knows."""


@dataclass(frozen=True)
class Weights:
    """The arrays of the ONNX file by name, without the prefix `model.`."""

    arrays: Mapping[str, Float]

    def __getitem__(self, name: str) -> Float:
        return self.arrays[name]


def read_weights(path: Path) -> Weights:
    """Read the weights of `silero_vad_16k_op15.onnx`. Raises `WeightsError` when names or shapes are others."""
    import onnx
    from onnx import numpy_helper

    arrays = {
        tensor.name.removeprefix("model."): numpy_helper.to_array(tensor)
        for tensor in onnx.load(str(path)).graph.initializer
    }
    found = {name: array.shape for name, array in arrays.items()}
    if found != SHAPES:
        odd = sorted(name for name in {*found, *SHAPES} if found.get(name) != SHAPES.get(name))
        raise WeightsError(f"{path}: not the network that is known here; differing: {', '.join(odd)}")
    return Weights(arrays)


def strided_as_matrix(weight: Float) -> Float:
    """Turn a float32 convolution kernel `[out, in, 3]` into a matrix `[4 * in, 2 * out]`.

    The convolution has stride 2 and padding 1, and takes 4 frames.
    """
    out, inner, _ = weight.shape
    matrix = np.zeros((4, inner, 2, out), np.float32)
    for target in range(2):
        for tap in range(3):
            frame = 2 * target + tap - 1
            if 0 <= frame < 4:
                matrix[frame, :, target, :] = weight[:, :, tap].T
    return matrix.reshape(4 * inner, 2 * out)


def build(weights: Weights) -> Any:
    """Build the network as a `tf.function`, with these weights.

    It maps `samples [1, 576]` and `state [1, 256]` to `probability [1, 1]` and `state_next [1, 256]`. The state is
    hidden and cell of the LSTM, one after the other; zeros at the beginning.
    """
    import tensorflow as tf

    basis = weights["stft.forward_basis_buffer"].reshape(2 * BINS, 2, HOP).transpose(1, 2, 0)[:, None]
    cosine, sine = tf.constant(basis[..., :BINS]), tf.constant(basis[..., BINS:])
    first = tf.constant(weights["encoder.0.reparam_conv.weight"].transpose(2, 1, 0)[:, None])
    second = tf.constant(strided_as_matrix(weights["encoder.1.reparam_conv.weight"]))
    # From two frames only one is left, and only the taps 1 and 2 of the kernel lie on them.
    third_taps = weights["encoder.2.reparam_conv.weight"][:, :, 1:].transpose(2, 1, 0)
    third = tf.constant(third_taps.reshape(2 * 64, 64))
    fourth = tf.constant(weights["encoder.3.reparam_conv.weight"][:, :, 1].T)
    bias = [tf.constant(weights[f"encoder.{i}.reparam_conv.bias"]) for i in range(4)]
    # PyTorch's order is input, forget, cell, output; with the cell last, one sigmoid serves the other three.
    order = np.r_[0:256, 384:512, 256:384]
    recurrent = np.concatenate([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]], axis=1)
    lstm_weight = tf.constant(recurrent[order].T)
    lstm_bias = tf.constant((weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"])[order])
    head = tf.constant(weights["decoder.decoder.2.weight"].reshape(UNITS, 1))
    head_bias = tf.constant(weights["decoder.decoder.2.bias"])

    def step(samples: Any, state: Any) -> dict[str, Any]:
        padded = tf.pad(samples, [[0, 0], [0, CONTEXT]], mode="REFLECT")
        hops = tf.reshape(padded, [1, 5, 1, HOP])
        real = tf.nn.conv2d(hops, cosine, 1, "VALID")
        imaginary = tf.nn.conv2d(hops, sine, 1, "VALID")
        x = tf.sqrt(tf.square(real) + tf.square(imaginary))
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, first, 1, "SAME"), bias[0]))
        x = tf.reshape(x, [1, 4 * 128])
        x = tf.nn.relu(tf.matmul(x, second) + tf.tile(bias[1], [2]))
        x = tf.nn.relu(tf.matmul(x, third) + bias[2])
        x = tf.nn.relu(tf.matmul(x, fourth) + bias[3])
        hidden, cell = state[:, :UNITS], state[:, UNITS:]
        sums = tf.matmul(tf.concat([x, hidden], axis=1), lstm_weight) + lstm_bias
        opened = tf.sigmoid(sums[:, : 3 * UNITS])
        cell = opened[:, UNITS : 2 * UNITS] * cell + opened[:, :UNITS] * tf.tanh(sums[:, 3 * UNITS :])
        hidden = opened[:, 2 * UNITS :] * tf.tanh(cell)
        probability = tf.sigmoid(tf.matmul(tf.nn.relu(hidden), head) + head_bias)
        return {"probability": probability, "state_next": tf.concat([hidden, cell], axis=1)}

    signature = [
        tf.TensorSpec([1, CONTEXT + BLOCK], tf.float32, name="samples"),
        tf.TensorSpec([1, 2 * UNITS], tf.float32, name="state"),
    ]
    return tf.function(step, input_signature=signature)
