"""The baseline: a running estimate of how this room usually sounds, against which every utterance is classified.

Microphone, echo, voices and language move the outputs of the network by more than an emotion does. Most of what is said
in a room is ordinary, so a robust running mean of the outputs is what ordinary speech gives there, and the difference
to it is what the network was trained on (docs/model/base.md). The outputs, seven logits and the arousal, are linear in
the embedding: their mean says as much as the mean of the embedding would, and nothing else of a voice.

While little has been heard, the location is shrunk towards `origin`, that of ordinary speech in general, as the
posterior mean under a normal prior is (Efron and Morris, JASA 1973, 68:117-130). An utterance that is far away moves it
no more than one at `step_limit` does (Huber, Ann. Math. Stat. 1964, 35:73-101), and after `memory` utterances each
moves it little: a loud evening does not make shouting ordinary. How far the calm half of a room's speech varies is
learnt, too: where it varies little, less is remarkable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.inference.bundle import Bundle, BundleError
from edge.inference.relative_head import HIGH_AROUSAL, LOW_AROUSAL, BaselineSpec
from edge.protocol import LABELS

Vector = NDArray[np.float64]

LARGEST: Final = 1e6
"""Outputs beyond are not taken."""
MOST_BELOW: Final = 3.0
"""Typical distances below the usual that one utterance counts for at most."""
_HIGH: Final = [LABELS.index(name) for name in HIGH_AROUSAL]
_LOW: Final = [LABELS.index(name) for name in LOW_AROUSAL]


class BaselineState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of a `Baseline` that is saved: all that is ever kept of what was said."""

    utterances: int
    """Learnt from since the beginning."""
    weight: float
    """Of the location, in utterances; at most the memory."""
    location: tuple[float, ...]
    """Usual outputs `[8]`: seven logits and the arousal."""
    evidence_below: float
    """Mean distance below the typical median of evidence, of the utterances below it."""
    evidence_weight: float
    """Of it, in utterances."""
    arousal_below: float
    """The same of arousal below that of the location."""
    arousal_weight: float


@dataclass(frozen=True, slots=True)
class Relative:
    """An utterance compared with the baseline of its room: its logits and arousal relative to it."""

    logits: Vector
    """Float64 `[7]`."""
    arousal: float
    """0: as usual."""
    evidence_spread: float = 1.0
    """How far the calm half of this room's speech varies, against the typical room, within bounds."""
    arousal_spread: float = 1.0
    unsure: float = 0.0
    """Weight of the origin in the baseline: 1 where nothing is known of the room, towards 0 as it is heard."""


class Baseline:
    """The running estimate of how one room usually sounds. Not thread-safe.

    `memory` (utterances) replaces that of the specification. `from_bundle` takes the specification from a bundle.
    Example: `baseline = Baseline.from_bundle(bundle)`; `baseline.relative(outputs)`; `baseline.add(outputs)`.
    """

    def __init__(self, spec: BaselineSpec, memory: float | None = None) -> None:
        self._spec = spec
        self._origin: Vector = np.array(spec.origin, np.float64)
        self._bias: Vector = np.array(spec.bias, np.float64)
        self._scatter: Vector = np.array(spec.scatter, np.float64)
        self._memory = spec.memory if memory is None else float(memory)
        self.reset()

    @classmethod
    def from_bundle(cls, bundle: Bundle, memory: float | None = None) -> Baseline:
        """Make the baseline of a bundle's head. Raises `BundleError` where its head is not a relative one."""
        if bundle.manifest.relative is None:
            raise BundleError(f"{bundle.path}: its head is not relative to a baseline")
        return cls(bundle.manifest.relative.baseline, memory)

    def reset(self) -> None:
        """Return to the state before the first utterance."""
        self._location = self._origin.copy()
        self._weight = self._evidence_weight = self._arousal_weight = 0.0
        self._evidence_below = self._spec.spread.evidence_below
        self._arousal_below = self._spec.spread.arousal_below
        self.utterances = 0
        """Learnt from since the beginning."""

    def relative(self, outputs: ArrayLike) -> Relative:
        """Compare the outputs `[8]` of an utterance (logits, arousal) with the baseline, which does not change."""
        away = np.asarray(outputs, np.float64) - self._location
        spread = self._spec.spread

        def bounded(own: float, typical: float) -> float:
            return min(spread.most, max(spread.least, own / typical))

        return Relative(
            away[:7] + self._bias,
            self._arousal(away),
            bounded(self._evidence_below, spread.evidence_below),
            bounded(self._arousal_below, spread.arousal_below),
            1.0 - self.shrinkage,
        )

    def add(self, outputs: ArrayLike) -> bool:
        """Learn from the outputs, float64 `[8]`, of an utterance, after it was classified.

        Returns False, and learns nothing, where they are not eight finite numbers.
        """
        found = np.asarray(outputs, np.float64)
        if found.shape != self._origin.shape or not _is_finite(found):
            return False
        away = found - self._location
        distance = math.sqrt(float(np.mean((away / self._scatter) ** 2))) + 1e-9
        self._weight = min(self._weight + 1.0, self._memory)
        step = min(1.0, self._spec.step_limit / distance) / (self._weight + self._spec.prior)
        self._location += step * away
        self._learn_spread(log_odds(away[:7] + self._bias), self._arousal(away))
        self.utterances += 1
        return True

    def _arousal(self, away: Vector) -> float:
        """Relative arousal of outputs `[8]` relative to the location."""
        odds = self._spec.arousal_odds
        if odds is None:
            return float(away[7])
        return float(away[7]) + odds.weight * (arousal_odds(away[:7] + self._bias) - odds.median)

    def _learn_spread(self, evidence: float, arousal: float) -> None:
        """From the calm half alone: how lively a room is says nothing of how loud its quarrels are."""
        spread = self._spec.spread
        if evidence < spread.evidence_median:
            self._evidence_weight = min(self._evidence_weight + 1.0, spread.memory)
            below = min(spread.evidence_median - evidence, MOST_BELOW * spread.evidence_below)
            self._evidence_below += (below - self._evidence_below) / (self._evidence_weight + spread.prior)
        if arousal < 0.0:
            self._arousal_weight = min(self._arousal_weight + 1.0, spread.memory)
            below = min(-arousal, MOST_BELOW * spread.arousal_below)
            self._arousal_below += (below - self._arousal_below) / (self._arousal_weight + spread.prior)

    @property
    def shrinkage(self) -> float:
        """How far the estimate has moved from average ordinary speech to this room, 0 to 1."""
        return self._weight / (self._weight + self._spec.prior)

    def to_state(self) -> BaselineState:
        """Return all that has to be saved; the specification is not part of it."""
        location = tuple(float(value) for value in self._location)
        return BaselineState(
            self.utterances, self._weight, location, self._evidence_below, self._evidence_weight,
            self._arousal_below, self._arousal_weight,
        )  # fmt: skip

    def restore(self, state: BaselineState) -> None:
        """Restore a saved state. Raises `ValueError` where it is invalid; nothing is changed then."""
        location: Vector = np.array(state.location, np.float64)
        if location.shape != self._origin.shape:
            raise ValueError(f"{location.size} outputs, not {self._origin.size}")
        weights = (state.weight, state.evidence_weight, state.arousal_weight)
        below = np.array([state.evidence_below, state.arousal_below])
        sound = _is_finite(location) and _is_finite(below) and bool((below > 0).all())
        if not sound or not all(0 <= weight <= state.utterances for weight in weights):
            raise ValueError("the numbers are invalid")
        self._location = location
        self._weight, self._evidence_weight, self._arousal_weight = (float(weight) for weight in weights)
        self._evidence_below, self._arousal_below = float(below[0]), float(below[1])
        self.utterances = int(state.utterances)


def log_odds(logits: Vector) -> float:
    """Return the log odds of any emotion against `neutral`, of logits `[7]` in the order of `LABELS`."""
    return _log_sum(logits[1:7]) - float(logits[0])


def arousal_odds(logits: Vector) -> float:
    """Return the log odds of `HIGH_AROUSAL` against `LOW_AROUSAL`, of logits `[7]` in the order of `LABELS`."""
    return _log_sum(logits[_HIGH]) - _log_sum(logits[_LOW])


def _log_sum(logits: Vector) -> float:
    """Logarithm of the sum of the exponentials."""
    top = float(logits.max())
    return top + math.log(float(np.exp(logits - top).sum()))


def _is_finite(vector: Vector) -> bool:
    # A comparison with NaN is false.
    return bool((np.abs(vector) <= LARGEST).all())
