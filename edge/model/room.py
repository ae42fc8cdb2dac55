"""The room's own neutral: a slow mean of the embeddings of what a room says, without labels and without sound.

Every room shifts the embedding: its microphone, its echo, its few voices, its language. The shift is estimated as the
mean of what was heard and taken out again. Logits are linear in the embedding, so that is one product of a vector and
the output layer's kernel: `logits + shift @ kernel`; the network runs once.

While little has been heard the estimate is shrunk towards the training mean: with a normal prior around it, the
posterior mean of a mean of `n` observations is `n / (n + prior)` of the way (Efron and Morris, JASA 1973, 68:117-130).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

PRIOR: Final = 60.0
"""Pseudo-utterances of the training mean."""
MEMORY: Final = 2000.0
"""Utterances after which one counts about a third (1/e): weeks of a household."""


class RoomState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plain data of a `RoomMean`, all that is ever kept of what was heard."""

    heard: int
    """Utterances since the beginning."""
    weight: float
    """Of the mean, in utterances; less than `heard` because old ones fade."""
    mean: tuple[float, ...]
    """Mean embedding `[size]`."""


class RoomMean:
    """Running mean of the embeddings of one room; not for several threads at once.

    `training_mean` `[size]` is the mean embedding of the training speech (`Manifest.embedding_mean`), `prior` the
    number of utterances for which it stands, `memory` the number of utterances that are remembered.
    Raises `ValueError` for a mean that is not one finite vector and for parameters that are not positive.
    """

    def __init__(self, training_mean: ArrayLike, prior: float = PRIOR, memory: float = MEMORY) -> None:
        self._origin: Vector = np.array(training_mean, np.float64)
        if self._origin.ndim != 1 or not self._origin.size or not np.isfinite(self._origin).all():
            raise ValueError("the training mean is not one vector of finite numbers")
        if not (prior > 0 and memory >= 1):
            raise ValueError("the prior must be above 0 and the memory at least 1 utterance")
        self._prior, self._keep = float(prior), 1.0 - 1.0 / float(memory)
        self._mean = self._origin.copy()
        self._weight = 0.0
        self.heard = 0
        """Utterances that were added since the beginning."""

    def add(self, embedding: ArrayLike) -> bool:
        """Takes the embedding `[size]` of one utterance; False where it is not finite or of another size."""
        found = np.asarray(embedding, np.float64)
        if found.shape != self._origin.shape or not np.isfinite(found).all():
            return False
        self._weight = self._weight * self._keep + 1.0
        self._mean += (found - self._mean) / self._weight
        self.heard += 1
        return True

    @property
    def shift(self) -> Vector:
        """What to add to an embedding `[size]`: from the room's mean to the training mean; zero at the start."""
        share = self._weight / (self._weight + self._prior)
        shift: Vector = share * (self._origin - self._mean)
        return shift

    def to_state(self) -> RoomState:
        """Everything that has to be kept; `prior` and `memory` are parameters and not part of it."""
        return RoomState(self.heard, self._weight, tuple(float(value) for value in self._mean))

    @classmethod
    def from_state(
        cls, training_mean: ArrayLike, state: RoomState, prior: float = PRIOR, memory: float = MEMORY
    ) -> RoomMean:
        """Goes on from a state. Raises `ValueError` where it is not one of this model's."""
        room = cls(training_mean, prior, memory)
        mean: Vector = np.array(state.mean, np.float64)
        if mean.shape != room._origin.shape:
            raise ValueError(f"a mean of {mean.size} numbers, the model's has {room._origin.size}")
        if not np.isfinite(mean).all() or not 0 <= state.weight <= state.heard:
            raise ValueError("the numbers make no sense")
        room._mean, room._weight, room.heard = mean, float(state.weight), int(state.heard)
        return room


def adapted(logits: NDArray[Any], kernel: NDArray[Any], shift: NDArray[Any]) -> Vector:
    """Uncalibrated logits `[..., 7]` of embeddings that are moved by `shift` `[size]`; `kernel` `[size, 7]`."""
    moved: Vector = logits + shift @ kernel
    return moved
