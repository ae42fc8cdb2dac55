"""Whether the ear hears: the state it tells, and whether the service manager may be told "alive".

A deaf process is a dead one. In `ok` the watchdog is fed only while blocks reach the voice activity detector in real
time and a golden self-inference ran in the last 60 s; in `lost` and `muted` only while that state's own loop turns. A
source of digital zeros for a minute counts as lost: a muted or broken capture device gives nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.ear.capture.source import BLOCK_S
from edge.protocol.messages import MicState

log = logging.getLogger(__name__)

FRAME_LIMIT_S: Final = 2.0
"""Longest time without a block in `ok`."""
PACE: Final = 0.8
"""Seconds of sound in a second that still count as real time. A clock that is a little slow is no fault."""
BEHIND_LIMIT_S: Final = 3.0
"""So far may the sound fall behind that pace: a device at half the speed does after 10 s, a pause of 2 s does not."""
SELF_TEST_PERIOD_S: Final = 30.0
"""From this age on the next self-inference is made when nobody speaks,"""
SELF_TEST_LATEST_S: Final = 50.0
"""from this age on also in the middle of speech, which waits in the queue meanwhile."""
SELF_TEST_LIMIT_S: Final = 60.0
TURN_LIMIT_S: Final = 20.0
"""Longest time without a sign of the retry loop: opening a device may take 15 s."""
ZEROS_S: Final = 60.0


class Liveness:
    """A pure state machine over monotonic times; `on_change` is called for each transition.

    `speed` is the speed of a playback; a microphone gives one second in a second.
    """

    def __init__(self, on_change: Callable[[MicState], None], now: float, speed: float = 1.0) -> None:
        self._on_change = on_change
        self._pace = PACE * speed
        self._state: MicState = "starting"
        self._progress = now
        self._self_test: float | None = None
        self._sounding = now
        self._deaf = False
        self._heard = now
        self._behind = 0.0
        self._said_slow = False

    @property
    def state(self) -> MicState:
        """What is told to the link."""
        return self._state

    def heard(self, now: float, *, zeros: bool) -> None:
        """A block has passed the voice activity detector; `zeros`: every sample of it was 0."""
        self._progress = now
        # A leaky bucket: what is missing adds up, what comes later fills it again, and nothing is saved up for later.
        self._behind = max(0.0, self._behind + self._pace * (now - self._heard) - BLOCK_S)
        self._heard = now
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
        self._progress = self._sounding = self._heard = now
        self._behind = 0.0
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

    def self_test_due(self, now: float, *, speaking: bool) -> bool:
        """Whether it is time for the next golden self-inference."""
        limit = SELF_TEST_LATEST_S if speaking else SELF_TEST_PERIOD_S
        return self._self_test is None or now - self._self_test > limit

    def alive(self, now: float) -> bool:
        """Whether the watchdog may be fed."""
        if self._state in {"starting", "ok"}:
            fresh = self._self_test is not None and now - self._self_test <= SELF_TEST_LIMIT_S
            if self._state == "starting":
                return fresh and now - self._progress <= TURN_LIMIT_S
            return fresh and now - self._progress <= FRAME_LIMIT_S and self._in_time()
        return now - self._progress <= TURN_LIMIT_S

    def _in_time(self) -> bool:
        if self._behind <= BEHIND_LIMIT_S:
            return True
        if not self._said_slow:
            self._said_slow = True
            log.error(
                "sound does not come in real time: it is missing %.1f s, so this is not alive", self._behind
            )
        return False

    def _enter(self, state: MicState, reason: str) -> None:
        if state == self._state:
            return
        log.info("microphone: %s -> %s (%s)", self._state, state, reason)
        self._state = state
        self._on_change(state)
