"""Makes the published event of what the ear says: whole steps, the link's own numbers, model and clock.

An attacker in the ear chooses the values within their steps, and when they are sent; docs/privacy.md counts how much
that is. Times cannot overlap or lie ahead, and lengths fit into the time that has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import UNSET

from edge.link.state.numbering import EventNumber
from edge.protocol import (
    AROUSAL_STEPS,
    BLOCK_MS,
    LABELS,
    LATENCY_STEP_MS,
    UNCERTAIN,
    Event,
    Probabilities,
    UtteranceValues,
)
from edge.util.timestamps import from_unix

BLOCK_S = BLOCK_MS / 1000


class Timeline:
    """Fits utterances into the time that has passed: one after the other, none ahead of the clock.

    Args:
        speed: seconds of sound in a second.
        steady: returns seconds of CLOCK_MONOTONIC, as the ear measures.
    """

    def __init__(self, speed: float = 1.0, steady: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._steady = steady
        self._ended = 0.0

    def fit(self, started: int, length: int) -> tuple[float, int]:
        """Return by how many seconds ago an utterance began, and its length in blocks; arguments in blocks."""
        now = self._steady()
        begin = min(now, max(self._ended, started * BLOCK_S))
        room = int((now - begin) * self._speed / BLOCK_S + 1e-6)
        length = min(length, room)
        self._ended = max(self._ended, begin + length * BLOCK_S / self._speed)
        return now - begin, length


class EventBuilder:
    """Builds events. `wall` returns seconds since 1970."""

    def __init__(self, timeline: Timeline, wall: Callable[[], float] = time.time) -> None:
        self._timeline = timeline
        self._wall = wall

    def build(self, number: EventNumber, values: UtteranceValues, model: str) -> Event:
        """Return the event of one utterance, classified by `model`."""
        ago, length = self._timeline.fit(values.started, values.length)
        shares = dict(zip(LABELS, values.shares, strict=True))
        likely = max(values.shares)
        return Event(
            id=number.id,
            boot=number.boot,
            seq=number.seq,
            event_type=values.event_type,
            confidence=(likely if values.event_type == UNCERTAIN else shares[values.event_type]) / 100,
            probabilities=Probabilities(**{label: share / 100 for label, share in shares.items()}),
            arousal=UNSET if values.arousal is None else values.arousal / AROUSAL_STEPS,
            # In hundredths of a second: the moment at which a message arrives says nothing more.
            started_at=from_unix(round(self._wall() - ago, 2)),
            duration_ms=length * BLOCK_MS,
            snr_db=values.snr_db,
            level_dbfs=values.level_dbfs,
            model=model,
            latency_ms=values.latency * LATENCY_STEP_MS,
        )
