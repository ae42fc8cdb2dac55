"""Notifies the watchdog of the service manager, but only while the ear really works.

While the microphone is `ok`, that is while blocks arrive in real time and the self-test of the model passed within the
last 60 s; while it is `lost` or `muted`, while the capture thread's waiting loop runs. Without notifications the
service manager restarts the process.
"""

from __future__ import annotations

import logging
from typing import Final

from edge.ear.capture.source import BLOCK_S
from edge.protocol import MicState
from edge.util.notify import notify

log = logging.getLogger(__name__)

BLOCK_LIMIT_S: Final = 2.0
"""Longest time without a block in `ok`."""
PACE: Final = 0.8
"""Seconds of sound per second that still count as real time, as a device's clock may be a little slow."""
BEHIND_LIMIT_S: Final = 3.0
"""Seconds that the sound may fall behind: a device at half speed exceeds it after 10 s, a pause of 2 s does not."""
SELF_TEST_PERIOD_S: Final = 45.0
"""Age of the last self-test from which the next one is due while there is no speech."""
SELF_TEST_LATEST_S: Final = 50.0
"""Age from which it is due also during speech, which waits in the queue meanwhile."""
SELF_TEST_LIMIT_S: Final = 60.0
"""Age from which the ear no longer counts as alive."""
HEARTBEAT_LIMIT_S: Final = 20.0
"""Longest time without a heartbeat of the capture thread: opening a device may take 15 s."""


class Watchdog:
    """Decides whether the ear is alive. All times are the caller's monotonic seconds.

    Args:
        now: the present time.
        speed: speed of a playback; 1 for a microphone.
        interval_s: how often the service manager is notified; None: it has no watchdog.
    """

    def __init__(self, now: float, speed: float = 1.0, interval_s: float | None = None) -> None:
        self._pace = PACE * speed
        self._interval_s = interval_s
        self._due = self._progress = self._last_block = now
        self._self_test: float | None = None
        self._behind = 0.0
        self._logged_slow = False

    def on_block(self, now: float) -> None:
        """Register a processed block of sound."""
        self._progress = now
        # A leaky bucket: missing sound adds up and late sound reduces it, but early sound is no credit.
        self._behind = max(0.0, self._behind + self._pace * (now - self._last_block) - BLOCK_S)
        self._last_block = now

    def on_opened(self, now: float) -> None:
        """Register that the source was opened: sound that is missing counts from now on."""
        self._progress = self._last_block = now
        self._behind = 0.0

    def on_heartbeat(self, now: float) -> None:
        """Register that the capture thread runs without a source, because it is lost or muted."""
        self._progress = now

    def on_self_test(self, now: float) -> None:
        """Register a passed self-test of the model."""
        self._self_test = now

    @property
    def self_test_passed(self) -> bool:
        """Whether any self-test has passed since the start."""
        return self._self_test is not None

    def self_test_due(self, now: float, *, speaking: bool) -> bool:
        """Whether the next self-test is due; it may wait a little for the end of speech."""
        limit = SELF_TEST_LATEST_S if speaking else SELF_TEST_PERIOD_S
        return self._self_test is None or now - self._self_test > limit

    def alive(self, now: float, state: MicState) -> bool:
        """Whether the service manager may be notified, with the microphone in this state."""
        if state in {"starting", "ok"}:
            fresh = self._self_test is not None and now - self._self_test <= SELF_TEST_LIMIT_S
            if state == "starting":
                return fresh and now - self._progress <= HEARTBEAT_LIMIT_S
            return fresh and now - self._progress <= BLOCK_LIMIT_S and self._in_time()
        return now - self._progress <= HEARTBEAT_LIMIT_S

    def poll(self, now: float, state: MicState) -> None:
        """Notify the service manager where that is due and the ear is alive."""
        if self._interval_s is not None and now >= self._due and self.alive(now, state):
            self._due = now + self._interval_s
            notify("WATCHDOG=1")

    def _in_time(self) -> bool:
        if self._behind <= BEHIND_LIMIT_S:
            return True
        if not self._logged_slow:
            self._logged_slow = True
            log.error("[sound_too_slow] sound does not arrive in real time: %.1f s are missing", self._behind)
        return False
