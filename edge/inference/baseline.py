"""The room's own neutral: a slow mean of what the network says of a room, without labels and without sound.

Every room shifts the embedding: its microphone, its echo, its few voices, its language. The mean shift is estimated
from what was heard and taken out again. Logits are linear in the embedding, so the mean of the embeddings moves them by
exactly the mean of the logits: seven numbers do what 512 would, and say nothing else of a voice.

Two things keep the estimate honest. While little has been heard it is shrunk towards the training mean: with a normal
prior around it, the posterior mean of `n` observations is `n / (n + prior)` of the way (Efron and Morris, JASA 1973,
68:117-130). And it counts only as far as the room is heard in several moods: of unlabelled speech nobody can tell
whether a language sounds angry or a room is, and a room that is should be heard so. The measure is the exponential
of the entropy of the mean probabilities, the effective number of emotions (Hill, Ecology 1973, 54:427-432).
docs/decisions/0006 has the measurements behind the numbers.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.inference.bundle import DEFAULT_EMOTION_BOUNDS, Bundle
from edge.protocol.messages import LABELS

Vector = NDArray[np.float64]

PRIOR: Final = 30.0
"""Utterances for which the training mean stands."""
MEMORY: Final = 2000.0
"""Utterances after which one counts about a third (1/e): weeks of a household."""
LIMIT: Final = 1.5
"""Longest shift of the calibrated logits (Euclidean): odds of two labels change by a factor of 8 at most."""
LARGEST: Final = 1e6
"""No logits are larger."""


class BaselineState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plain data of a `Baseline`, all that is ever kept of what was heard."""

    utterances: int
    """Utterances since the beginning."""
    weight: float
    """Of the means, in utterances; less than `heard` because old ones fade."""
    logits: tuple[float, ...]
    """Mean logits `[7]`."""
    shares: tuple[float, ...]
    """Mean probabilities `[7]`."""


class Baseline:
    """Running means of one room; not for several threads at once.

    `training_logits` `[7]` are those of the mean embedding of the training speech, `temperature` calibrates
    logits, `prior` and `memory` are in utterances, `moods` are the effective emotions up to which the mean does not
    count, and from which it counts in full. `of` takes all this from a bundle. Raises `ValueError` for logits that are
    not one finite vector and for parameters that are not positive.
    """

    def __init__(
        self,
        training_logits: ArrayLike,
        temperature: float = 1.0,
        prior: float = PRIOR,
        memory: float = MEMORY,
        emotion_bounds: tuple[float, float] = DEFAULT_EMOTION_BOUNDS,
    ) -> None:
        self._training_mean: Vector = np.array(training_logits, np.float64)
        if self._training_mean.shape != (len(LABELS),) or not _is_finite(self._training_mean):
            raise ValueError(f"the training logits are not {len(LABELS)} finite numbers")
        if not 0 < emotion_bounds[0] < emotion_bounds[1]:
            raise ValueError("the moods are not a lower and a higher number")
        if not (temperature > 0 and prior > 0 and memory >= 1):
            raise ValueError("temperature and prior must be above 0 and the memory at least 1 utterance")
        self._temperature, self._emotion_bounds = float(temperature), emotion_bounds
        self._prior, self._keep = float(prior), 1.0 - 1.0 / float(memory)
        self._logits = self._training_mean.copy()
        self._shares = np.full(self._training_mean.size, 1.0 / self._training_mean.size)
        self._weight = 0.0
        self.utterances = 0
        """Utterances that were added since the beginning."""

    @classmethod
    def from_bundle(cls, bundle: Bundle, memory: float = MEMORY) -> Baseline:
        """For the speech that this bundle hears. Raises `BundleError` where it has no output layer."""
        manifest = bundle.manifest
        return cls(
            bundle.mean_logits(), manifest.temperature, memory=memory, emotion_bounds=manifest.room_moods
        )

    def add(self, logits: ArrayLike) -> bool:
        """Takes the logits `[7]` of one utterance as the network gave them, neither calibrated nor shifted.

        False where they are none and are ignored: NaN, another size.
        """
        found = np.asarray(logits, np.float64)
        if found.shape != self._training_mean.shape or not _is_finite(found):
            return False
        shares = np.exp((found - found.max()) / self._temperature)
        self._weight = self._weight * self._keep + 1.0
        self._logits += (found - self._logits) / self._weight
        self._shares += (shares / shares.sum() - self._shares) / self._weight
        self.utterances += 1
        return True

    @property
    def shrinkage(self) -> float:
        """How far the estimate has gone from the training mean to what was heard, 0 to 1."""
        return self._weight / (self._weight + self._prior)

    @property
    def effective_emotions(self) -> float:
        """Effective number of emotions in which the room was heard, 1 to the number of labels."""
        return float(np.exp(-np.sum(self._shares * np.log(self._shares + 1e-12))))

    @property
    def diversity_weight(self) -> float:
        """How far the mean counts, by the number of moods, 0 to 1."""
        low, high = self._emotion_bounds
        return float(np.clip((self.effective_emotions - low) / (high - low), 0.0, 1.0))

    @property
    def shift(self) -> Vector:
        """What to add to the logits `[7]` of the network; zero at the start."""
        shift: Vector = self.shrinkage * self.diversity_weight * (self._training_mean - self._logits)
        # The same for all labels changes nothing.
        shift = shift - shift.mean()
        limit = LIMIT * self._temperature
        size = float(np.linalg.norm(shift))
        return shift * (limit / size) if size > limit else shift

    def reset(self) -> None:
        """As if nothing had been heard."""
        self._logits = self._training_mean.copy()
        self._shares = np.full(self._training_mean.size, 1.0 / self._training_mean.size)
        self._weight = 0.0
        self.utterances = 0

    def to_state(self) -> BaselineState:
        """Everything that has to be kept; parameters are not part of it."""
        return BaselineState(
            self.utterances,
            self._weight,
            tuple(float(value) for value in self._logits),
            tuple(float(value) for value in self._shares),
        )

    def restore(self, state: BaselineState) -> None:
        """Goes on from a state. Raises `ValueError` where it makes no sense; then nothing has changed."""
        logits: Vector = np.array(state.logits, np.float64)
        shares: Vector = np.array(state.shares, np.float64)
        if logits.shape != self._training_mean.shape or shares.shape != self._training_mean.shape:
            raise ValueError(f"{logits.size} and {shares.size} numbers, not {len(LABELS)}")
        sound = _is_finite(logits) and bool((shares >= 0).all()) and abs(float(shares.sum()) - 1.0) < 1e-3
        if not sound or not 0 <= state.weight <= state.utterances:
            raise ValueError("the numbers make no sense")
        self._logits, self._shares = logits, shares
        self._weight, self.utterances = float(state.weight), int(state.utterances)


def _is_finite(vector: Vector) -> bool:
    # A comparison with NaN is false.
    return bool((np.abs(vector) <= LARGEST).all())
