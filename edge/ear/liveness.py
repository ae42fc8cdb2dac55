"""The state of the microphone, and whether the watchdog of the service manager may be notified.

In `ok` the watchdog is notified only while blocks arrive in real time and the self-test of the model passed within the
last 60 s; in `lost` and `muted` only while the capture thread's waiting loop runs. A source that delivers no sound for
a minute counts as lost (`edge.ear.signal_check`): a muted, stuck or overloaded device delivers samples all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.ear.capture.source import BLOCK_S
from edge.ear.signal_check import Fault
from edge.protocol import MicState

log = logging.getLogger(__name__)

FRAME_LIMIT_S: Final = 2.0
"""Longest time without a block in `ok`."""
PACE: Final = 0.8
"""Seconds of sound per second that still count as real time, as a device's clock may be a little slow."""
BEHIND_LIMIT_S: Final = 3.0
"""Seconds that the sound may fall behind: a device at half speed exceeds it after 10 s, a pause of 2 s does not."""
SELF_TEST_PERIOD_S: Final = 30.0
"""Age of the last self-test from which the next one is due while there is no speech."""
SELF_TEST_LATEST_S: Final = 50.0
"""Age from which it is due also during speech, which waits in the queue meanwhile."""
SELF_TEST_LIMIT_S: Final = 60.0
HEARTBEAT_LIMIT_S: Final = 20.0
"""Longest time without a heartbeat of the capture thread: opening a device may take 15 s."""
NO_SOUND_S: Final = 60.0
"""Seconds of blocks without sound after which the microphone counts as lost."""
REASONS: Final[dict[Fault, str]] = {
    "unchanging": "the samples do not change: is it muted in a mixer, or broken?",
    "overloaded": "the samples are at full scale: lower the input level",
}


class Liveness:
    """State machine of the microphone over monotonic times (seconds); `on_change` is called for each transition.

    `speed` is the speed of a playback, 1 for a microphone.
    """

    def __init__(self, on_change: Callable[[MicState], None], now: float, speed: float = 1.0) -> None:
        self._on_change = on_change
        self._pace = PACE * speed
        self._state: MicState = "starting"
        self._progress = now
        self._self_test: float | None = None
        self._last_sound = now
        self._silent = False
        self._last_block = now
        self._behind = 0.0
        self._logged_slow = False

    @property
    def state(self) -> MicState:
        """The state that is published."""
        return self._state

    def on_block(self, now: float, *, fault: Fault | None = None) -> None:
        """Register a processed block; `fault`: why it is no sound."""
        self._progress = now
        # A leaky bucket: missing sound adds up and late sound reduces it, but early sound is no credit.
        self._behind = max(0.0, self._behind + self._pace * (now - self._last_block) - BLOCK_S)
        self._last_block = now
        if fault is None:
            self._last_sound = now
            self._silent = False
        elif not self._silent and now - self._last_sound > NO_SOUND_S:
            self._silent = True
            self._enter("lost", f"no sound for {NO_SOUND_S:.0f} s: {REASONS[fault]}")
        if not self._silent and self._self_test is not None:
            self._enter("ok", "sound arrives")

    def on_opened(self, now: float) -> None:
        """Register that the source was opened; the state is `ok` only when sound arrives."""
        self._progress = self._last_sound = self._last_block = now
        self._behind = 0.0
        self._silent = False

    def on_lost(self, now: float, reason: str) -> None:
        """Register that the source cannot be opened or has disappeared."""
        self._progress = now
        self._enter("lost", reason)

    def on_muted(self, now: float) -> None:
        """Register that the source was closed for a mute."""
        self._progress = now
        self._enter("muted", "the microphone is closed")

    def on_heartbeat(self, now: float) -> None:
        """Register a heartbeat of the capture thread in `lost` or `muted`."""
        self._progress = now

    def on_self_test(self, now: float) -> None:
        """Register a passed self-test."""
        self._self_test = now

    def self_test_due(self, now: float, *, speaking: bool) -> bool:
        """Whether the next self-test is due."""
        limit = SELF_TEST_LATEST_S if speaking else SELF_TEST_PERIOD_S
        return self._self_test is None or now - self._self_test > limit

    def alive(self, now: float) -> bool:
        """Whether the watchdog may be notified."""
        if self._state in {"starting", "ok"}:
            fresh = self._self_test is not None and now - self._self_test <= SELF_TEST_LIMIT_S
            if self._state == "starting":
                return fresh and now - self._progress <= HEARTBEAT_LIMIT_S
            return fresh and now - self._progress <= FRAME_LIMIT_S and self._in_time()
        return now - self._progress <= HEARTBEAT_LIMIT_S

    def _in_time(self) -> bool:
        if self._behind <= BEHIND_LIMIT_S:
            return True
        if not self._logged_slow:
            self._logged_slow = True
            log.error("sound does not arrive in real time: %.1f s are missing", self._behind)
        return False

    def _enter(self, state: MicState, reason: str) -> None:
        if state == self._state:
            return
        log.info("microphone: %s -> %s (%s)", self._state, state, reason)
        self._state = state
        self._on_change(state)
