"""The emotion of the room: what was said lately, smoothed, for lamps, displays and automations.

Every utterance adds its probabilities, weighted by its length (at most `LONGEST_S`); all weights halve with the
half-life. A constant weight of `SILENCE_S` seconds stands for "not sure", so one short word does not colour a
room, and a silent room fades back to `uncertain`. The label with the greatest share is the emotion while its share,
the confidence, is at least `ENTER`; a label that is already shown stays until it is below `LEAVE`, or until
another is ahead of it by `AHEAD`: the state does not flicker between two of the same strength.

With shares s(l) = w(l) / (sum of w + SILENCE_S), where w(l) = sum over utterances of
length * probability(l) * 2^(-age / half-life).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from edge.protocol import (
    LABELS,
    UNCERTAIN,
    Event,
    EventType,
    State,
)
from edge.util.timestamps import from_unix

LONGEST_S: Final = 5.0
SILENCE_S: Final = 1.0
ENTER: Final = 0.35
LEAVE: Final = 0.25
AHEAD: Final = 0.05


@dataclass
class Smoother:
    """`now` is always monotonic seconds, `wall` seconds of the calendar's clock."""

    half_life_s: float

    def __post_init__(self) -> None:
        self._weights = dict.fromkeys(LABELS, 0.0)
        self._at = 0.0
        self._emotion: EventType = UNCERTAIN
        self._since: float | None = None
        self._model = ""

    def set_model(self, model: str) -> None:
        """Set which model runs: with one there is a state, `uncertain` before the first utterance."""
        self._model = model

    def add(self, event: Event, now: float) -> None:
        """Add an utterance that has just come."""
        self._fade(now)
        length = min(event.duration_ms / 1000, LONGEST_S)
        for label, share in msgspec.structs.asdict(event.probabilities).items():
            self._weights[label] += length * share
        self._model = event.model

    def state(self, now: float, wall: float) -> State | None:
        """Return the smoothed state; None while no model is known."""
        if not self._model:
            return None
        self._fade(now)
        shares = self._shares()
        emotion = self._choose(shares)
        if emotion != self._emotion or self._since is None:
            self._emotion, self._since = emotion, wall
        best = max(shares.values())
        return State(
            emotion=emotion,
            confidence=round(best if emotion == UNCERTAIN else shares[emotion], 3),
            since=from_unix(self._since),
            model=self._model,
        )

    def _fade(self, now: float) -> None:
        factor = 0.5 ** (max(0.0, now - self._at) / self.half_life_s)
        self._at = now
        for label in self._weights:
            self._weights[label] *= factor

    def _shares(self) -> dict[EventType, float]:
        total = sum(self._weights.values()) + SILENCE_S
        return {label: self._weights[label] / total for label in LABELS}

    def _choose(self, shares: dict[EventType, float]) -> EventType:
        best = max(shares, key=lambda label: shares[label])
        shown = self._emotion
        if shown != UNCERTAIN and shares[shown] >= LEAVE and shares[best] - shares[shown] < AHEAD:
            return shown
        return best if shares[best] >= ENTER else UNCERTAIN
