"""Whether the ear hears: the state it tells, and whether the service manager may be told "alive".

A deaf process is a dead one. In `ok` the watchdog is fed only while blocks reach the voice activity detector and a
golden self-inference ran in the last minute; in `lost` and `muted` only while that state's own loop turns. A source
of digital zeros for a minute counts as lost: a muted or broken capture device gives nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.contract import MicState

log = logging.getLogger(__name__)

FRAME_LIMIT_S: Final = 2.0
"""Longest time without a block in `ok`."""
SELF_TEST_PERIOD_S: Final = 45.0
SELF_TEST_LIMIT_S: Final = 65.0
TURN_LIMIT_S: Final = 20.0
"""Longest time without a sign of the retry loop: opening a device may take 15 s."""
ZEROS_S: Final = 60.0


class Liveness:
    """A pure state machine over monotonic times; `on_change` is called for each transition."""

    def __init__(self, on_change: Callable[[MicState], None], now: float) -> None:
        self._on_change = on_change
        self._state: MicState = "starting"
        self._progress = now
        self._self_test: float | None = None
        self._sounding = now
        self._deaf = False

    @property
    def state(self) -> MicState:
        """What is told to the link."""
        return self._state

    def heard(self, now: float, *, zeros: bool) -> None:
        """A block has passed the voice activity detector; `zeros`: every sample of it was 0."""
        self._progress = now
        if not zeros:
            self._sounding = now
            self._deaf = False
        elif not self._deaf and now - self._sounding > ZEROS_S:
            self._deaf = True
            self._enter(
                "lost", f"nothing but digital zeros for {ZEROS_S:.0f} s: is it muted in a mixer, or broken?"
            )
        if not self._deaf and self._self_test is not None:
            self._enter("ok", "sound arrives")

    def opened(self, now: float) -> None:
        """The source was opened; it is `ok` only when sound arrives."""
        self._progress = self._sounding = now
        self._deaf = False

    def lost(self, now: float, reason: str) -> None:
        """The source cannot be opened or has gone."""
        self._progress = now
        self._enter("lost", reason)

    def muted(self, now: float) -> None:
        """The source was closed because somebody wants it so."""
        self._progress = now
        self._enter("muted", "the microphone is closed")

    def turned(self, now: float) -> None:
        """The retry loop of `lost` or the waiting loop of `muted` has turned."""
        self._progress = now

    def self_tested(self, now: float) -> None:
        """The golden self-inference gave what it should."""
        self._self_test = now

    def self_test_due(self, now: float) -> bool:
        """Whether it is time for the next golden self-inference."""
        return self._self_test is None or now - self._self_test > SELF_TEST_PERIOD_S

    def alive(self, now: float) -> bool:
        """Whether the watchdog may be fed."""
        if self._state in {"starting", "ok"}:
            fresh = self._self_test is not None and now - self._self_test <= SELF_TEST_LIMIT_S
            limit = FRAME_LIMIT_S if self._state == "ok" else TURN_LIMIT_S
            return fresh and now - self._progress <= limit
        return now - self._progress <= TURN_LIMIT_S

    def _enter(self, state: MicState, reason: str) -> None:
        if state == self._state:
            return
        log.info("microphone: %s -> %s (%s)", self._state, state, reason)
        self._state = state
        self._on_change(state)
