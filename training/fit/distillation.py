"""Feature distillation: a student network learns to predict, for every token (20 ms), the output of Whisper layers.

FitNets (Romero et al. 2015, arXiv 1412.6550). Labels of two dozen speakers teach a small network those speakers; the
output of a Whisper layer is 512 numbers fifty times a second, learnt from 680,000 hours, and a student that predicts it
is almost as accurate on unseen speakers as on those it was trained with (docs/model/small.md). Student and teacher get
the same augmented speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from training.fit.batches import Batch
from training.networks import transformer
from training.networks.pretrained import WIDTH
from training.recipes.recipe import Recipe

FIRST: Final = 20
"""Batches from which the scales of teacher and student are taken."""


def encoder(depth: int, arrays: dict[str, NDArray[np.float32]]) -> Any:
    """Build the first `depth` layers of Whisper's encoder with its pretrained weights, float32 `[...]`.

    Not trainable.
    """
    recipe = Recipe(
        name="encoder", architecture="whisper", layers=depth, freeze=depth, embedding=1, epochs=0, draws=0
    )
    teacher = transformer.make(recipe)
    teacher.load_pretrained(arrays)
    teacher.trainable = False
    return teacher


class DistillationModel(keras.Model):  # type: ignore[misc]
    """Student, a linear projection to the teacher's width, and the error between both, for `train_on_batch`."""

    def __init__(self, student: Any, teacher: Any, learnt: Sequence[int] = ()) -> None:
        """`learnt`: the layers of the teacher whose outputs are predicted, from 1 on; none named: its last."""
        super().__init__(name="distillation")
        self.network, self.teacher = student, teacher
        self.learnt = tuple(learnt) or (len(teacher.blocks),)
        width = WIDTH * len(self.learnt)
        self.projection = layers.Dense(width, name="projection")
        self.centre = self.add_weight(shape=(width,), initializer="zeros", trainable=False, name="centre")
        self.scale = self.add_weight(shape=(width,), initializer="ones", trainable=False, name="scale")

    def build(self, shape: Any = None) -> None:
        """Build the projection; both networks are built already."""
        self.projection.build((None, None, self.network.width))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Mean squared error of each clip in units of the teacher's variance, `[batch, 1]`."""
        mask = inputs[1]
        targets = (ops.stop_gradient(self._wanted(inputs)) - self.centre) * self.scale
        predicted = self.projection(self.network.tokens(inputs))
        errors = ops.mean(ops.square(predicted - targets), axis=-1) * mask
        return ops.sum(errors, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)

    def _wanted(self, inputs: Any) -> Any:
        """What the teacher gives for each token: `[batch, tokens, 512 * layers learnt]`."""
        outputs, _ = self.teacher.tokens(inputs)
        return ops.concatenate([outputs[layer - 1] for layer in self.learnt], axis=-1)

    def prepare(self, first: Iterable[Batch]) -> None:
        """Set the teacher's mean and deviation, and standardise the input of the student's first layer.

        Both from the batches of `first`. Without it the student learns only a handful of channels whose values are a
        hundred times those of the others.
        """
        teacher_out: list[NDArray[np.float32]] = []
        student_in: list[NDArray[np.float32]] = []
        for batch in first:
            # Converted here: a graphics card adds no array of NumPy to one of its own.
            inputs = [ops.convert_to_tensor(part) for part in (batch.features, batch.mask)]
            valid = batch.mask > 0
            teacher_out.append(ops.convert_to_numpy(self._wanted(inputs))[valid])
            student_in.append(ops.convert_to_numpy(self.network.front(inputs))[valid])
        targets, sources = np.concatenate(teacher_out), np.concatenate(student_in)
        self.centre.assign(targets.mean(axis=0))
        self.scale.assign(1.0 / (targets.std(axis=0) + 1e-3))
        kernel, _ = self.network.entry.get_weights()
        kernel = kernel / (sources.std(axis=0) + 1e-2)[None, :, None]
        self.network.entry.set_weights([kernel, -sources.mean(axis=0) @ kernel[0]])


def error(_: Any, errors: Any) -> Any:
    """Loss function for Keras: the output of `DistillationModel` is the loss already."""
    return errors
