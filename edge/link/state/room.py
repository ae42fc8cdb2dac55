"""The smoothed emotion of the room, published when it changes and once a minute."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from edge.link.state.smoothing import Smoother
from edge.protocol.messages import Event, State

REPEAT_S: Final = 60.0
CONFIDENCE_STEP: Final = 0.1
"""A change of the confidence that is worth a message."""


class RoomState:
    """`publish` is given every state that is worth a message; `clock` returns monotonic seconds."""

    def __init__(
        self, half_life_s: float, publish: Callable[[State], None], clock: Callable[[], float]
    ) -> None:
        self._smoother = Smoother(half_life_s)
        self._publish = publish
        self._clock = clock
        self._published: State | None = None
        self._published_at = -math.inf

    def add(self, event: Event) -> None:
        """Add an utterance that has just come."""
        self._smoother.add(event, self._clock())

    def update(self, *, anew: bool = False) -> None:
        """Publish the state if it has changed or is due; `anew`: in any case, for subscribers that know nothing."""
        now = self._clock()
        state = self._smoother.state(now, time.time())
        if state is None:
            return
        before = None if anew else self._published
        changed = (
            before is None
            or before.emotion != state.emotion
            or abs(before.confidence - state.confidence) >= CONFIDENCE_STEP
        )
        if changed or now - self._published_at >= REPEAT_S:
            self._published, self._published_at = state, now
            self._publish(state)
