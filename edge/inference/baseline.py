"""The baseline: a running estimate of how this room usually sounds, against which every utterance is classified.

Microphone, echo, voices and language move the outputs of the network by more than an emotion does. Most of what is said
in a room is ordinary, so a robust running mean of the outputs is what ordinary speech gives there, and the difference
to it is what the network was trained on (docs/model/base.md). The outputs, seven logits and the arousal, are linear in
the embedding: their mean says as much as the mean of the embedding would, and nothing else of a voice.

The estimate is robust in three ways. An utterance that seems emotional counts little (`least_weight`), one that is far
away moves the location no more than one at `step_limit` does (Huber, Ann. Math. Stat. 1964, 35:73-101),
and while little has been heard the location is shrunk towards `origin`, that of ordinary speech in general, as the
posterior mean under a normal prior is (Efron and Morris, JASA 1973, 68:117-130). The deviations of evidence and arousal
are tracked, too: a lively household is not an emotional one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.inference.bundle import BaselineSpec, Bundle, BundleError
from edge.protocol.messages import LABELS

Vector = NDArray[np.float64]

LARGEST: Final = 1e6
"""Outputs beyond are not taken."""
CLIP_LOCATION: Final = 1.5
"""Deviations by which one utterance moves the typical evidence or arousal at most."""
CLIP_DEVIATION: Final = 2.5
"""Deviations that one utterance counts for in the deviation itself at most."""
LEAST_DEVIATION: Final = 0.3
"""Of the typical deviation: a monotonous room is no reason to find everything remarkable."""


class BaselineState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Plain data of a `Baseline`: all that is ever kept of what was heard."""

    utterances: int
    """Learnt from since the beginning."""
    weight: float
    """Of the location, in utterances; at most the memory."""
    location: tuple[float, ...]
    """Usual outputs `[8]`: seven logits and the arousal."""
    evidence: tuple[float, float]
    """Usual evidence of an emotion and its mean absolute deviation."""
    arousal: tuple[float, float]
    """Usual arousal relative to the location, and its mean absolute deviation."""
    spread_weight: float
    """Of the two pairs before, in utterances; at most their memory."""


@dataclass(frozen=True, slots=True)
class Relative:
    """One utterance in relation to a baseline."""

    logits: Vector
    """Float64 `[7]`."""
    evidence: float
    """Log odds of any emotion against `neutral`, in deviations of this room from its usual."""
    arousal: float
    """In deviations of this room from its usual; 0: as usual."""


class Baseline:
    """The running estimate of one room. Not thread-safe.

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
        self._weight = self._spread_weight = 0.0
        self._evidence, self._evidence_deviation = self._spec.evidence
        self._arousal, self._arousal_deviation = self._spec.arousal
        self.utterances = 0
        """Learnt from since the beginning."""

    def relative(self, outputs: ArrayLike) -> Relative:
        """Compare the outputs `[8]` of an utterance (logits, arousal) with the baseline, which does not change."""
        away = np.asarray(outputs, np.float64) - self._location
        logits: Vector = away[:7] + self._bias
        return Relative(
            logits,
            (log_odds(logits) - self._evidence) / self._evidence_deviation,
            (float(away[7]) - self._arousal) / self._arousal_deviation,
        )

    def add(self, outputs: ArrayLike) -> bool:
        """Learn from the outputs, float64 `[8]`, of an utterance, after it was classified.

        Returns False, and learns nothing, where they are not eight finite numbers.
        """
        found = np.asarray(outputs, np.float64)
        if found.shape != self._origin.shape or not _is_finite(found):
            return False
        spec, away = self._spec, found - self._location
        odds = log_odds(away[:7] + self._bias)
        usual, deviation = spec.evidence
        surprise = min(30.0, max(-30.0, odds - usual - 2.0 * deviation))
        weight = max(spec.least_weight, 1.0 / (1.0 + math.exp(surprise)))
        distance = math.sqrt(float(np.mean((away / self._scatter) ** 2))) + 1e-9
        self._weight = min(self._weight + weight, self._memory)
        step = weight / (self._weight + spec.prior) * min(1.0, spec.step_limit / distance)
        self._location += step * away
        self._learn_spread(odds, float(away[7]))
        self.utterances += 1
        return True

    def _learn_spread(self, odds: float, arousal: float) -> None:
        spec = self._spec
        self._spread_weight = min(self._spread_weight + 1.0, spec.spread_memory)
        rate = 1.0 / (self._spread_weight + spec.spread_prior)
        self._evidence, self._evidence_deviation = _tracked(
            odds, self._evidence, self._evidence_deviation, rate, spec.evidence[1]
        )
        self._arousal, self._arousal_deviation = _tracked(
            arousal, self._arousal, self._arousal_deviation, rate, spec.arousal[1]
        )

    @property
    def shrinkage(self) -> float:
        """How far the location has gone from that of ordinary speech in general to that of this room, 0 to 1."""
        return self._weight / (self._weight + self._spec.prior)

    def to_state(self) -> BaselineState:
        """Return all that has to be kept; the specification is not part of it."""
        return BaselineState(
            self.utterances,
            self._weight,
            tuple(float(value) for value in self._location),
            (self._evidence, self._evidence_deviation),
            (self._arousal, self._arousal_deviation),
            self._spread_weight,
        )

    def restore(self, state: BaselineState) -> None:
        """Restore a saved state. Raises `ValueError` where it is invalid; nothing is changed then."""
        location: Vector = np.array(state.location, np.float64)
        if location.shape != self._origin.shape:
            raise ValueError(f"{location.size} outputs, not {self._origin.size}")
        spreads = np.array([*state.evidence, *state.arousal], np.float64)
        weights = (state.weight, state.spread_weight)
        sound = _is_finite(location) and _is_finite(spreads) and bool((spreads[1::2] > 0).all())
        if not sound or not all(0 <= weight <= state.utterances for weight in weights):
            raise ValueError("the numbers are invalid")
        self._location, self.utterances = location, int(state.utterances)
        self._weight, self._spread_weight = (float(weight) for weight in weights)
        self._evidence, self._evidence_deviation = (float(value) for value in state.evidence)
        self._arousal, self._arousal_deviation = (float(value) for value in state.arousal)


def log_odds(logits: Vector) -> float:
    """Return the log odds of any emotion against `neutral`, of logits `[7]` in the order of `LABELS`."""
    rest = logits[1 : len(LABELS)]
    top = float(rest.max())
    return top + math.log(float(np.exp(rest - top).sum())) - float(logits[0])


def _tracked(
    value: float, usual: float, deviation: float, rate: float, typical: float
) -> tuple[float, float]:
    """The usual value and its mean absolute deviation after one more value."""
    off = value - usual
    limit = CLIP_LOCATION * deviation
    moved = usual + rate * min(limit, max(-limit, off))
    grown = deviation + rate * (min(abs(off), CLIP_DEVIATION * deviation) - deviation)
    return moved, max(grown, LEAST_DEVIATION * typical)


def _is_finite(vector: Vector) -> bool:
    # A comparison with NaN is false.
    return bool((np.abs(vector) <= LARGEST).all())
