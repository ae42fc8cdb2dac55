"""How a student learns to hear: it says of every token (20 ms) what a layer of Whisper says of it.

Feature distillation (Romero et al. 2015, "FitNets", arXiv 1412.6550). Labels of two dozen speakers teach a small
network those speakers; what a layer of Whisper says about each moment is 512 numbers fifty times a second, learnt from
680,000 hours, and the student hears strangers almost as well as the speakers it was taught with (docs/model/small.md).
The teacher hears what the student hears: augmented speech.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from training.data.batches import Batch
from training.fit.recipe import Recipe
from training.networks import transformer

FIRST: Final = 20
"""Batches from which the scales of both are taken."""


def encoder(depth: int, arrays: dict[str, NDArray[np.float32]]) -> Any:
    """The first layers of Whisper's encoder as they came."""
    recipe = Recipe(
        name="encoder", architecture="whisper", layers=depth, freeze=depth, embedding=1, epochs=0, draws=0
    )
    found = transformer.make(recipe)
    found.load_pretrained(arrays)
    found.trainable = False
    return found


class Mimic(keras.Model):  # type: ignore[misc]
    """The student, a linear layer to the teacher's width, and the error of both, as `train_on_batch` wants it."""

    def __init__(self, pupil: Any, teacher: Any) -> None:
        super().__init__(name="mimic")
        self.pupil, self.teacher = pupil, teacher
        self.say = layers.Dense(transformer.WIDTH, name="say")
        self.centre = self.add_weight(
            shape=(transformer.WIDTH,), initializer="zeros", trainable=False, name="centre"
        )
        self.scale = self.add_weight(
            shape=(transformer.WIDTH,), initializer="ones", trainable=False, name="scale"
        )

    def build(self, shape: Any = None) -> None:
        """Both networks are built already."""
        self.say.build((None, None, self.pupil.width))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Mean squared error of each clip in units of the teacher's variance, `[batch, 1]`."""
        mask = inputs[1]
        said, _ = self.teacher.tokens(inputs)
        wanted = (ops.stop_gradient(said[-1]) - self.centre) * self.scale
        error = ops.mean(ops.square(self.say(self.pupil.tokens(inputs)) - wanted), axis=-1) * mask
        return ops.sum(error, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)

    def prepare(self, first: Iterable[Batch]) -> None:
        """Takes the teacher's mean and deviation, and lets the student's first layer see standardised numbers.

        Both from `first`. Without it a handful of channels, a hundred times as loud as the others, is all it learns.
        """
        said: list[NDArray[np.float32]] = []
        heard: list[NDArray[np.float32]] = []
        for batch in first:
            inputs, valid = (batch.features, batch.mask), batch.mask > 0
            said.append(ops.convert_to_numpy(self.teacher.tokens(inputs)[0][-1])[valid])
            heard.append(ops.convert_to_numpy(self.pupil.front(inputs))[valid])
        wanted, seen = np.concatenate(said), np.concatenate(heard)
        self.centre.assign(wanted.mean(axis=0))
        self.scale.assign(1.0 / (wanted.std(axis=0) + 1e-3))
        kernel, _ = self.pupil.entry.get_weights()
        kernel = kernel / (seen.std(axis=0) + 1e-2)[None, :, None]
        self.pupil.entry.set_weights([kernel, -seen.mean(axis=0) @ kernel[0]])


def error(_: Any, errors: Any) -> Any:
    """The loss is what the network gives."""
    return errors
