"""The state of the microphone: `starting`, `ok`, `lost` or `muted`, as it is published.

It is `ok` after the model has passed a self-test and sound arrives. It is `lost` when the source cannot be opened, has
disappeared, or has delivered no sound for a minute (`edge.ear.signal_check`): a muted, stuck or overloaded device
delivers samples all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.ear.signal_check import Fault
from edge.ear.watchdog import Watchdog
from edge.protocol import MicState
from edge.util.text.terminal import printable

log = logging.getLogger(__name__)

NO_SOUND_S: Final = 60.0
"""Seconds of blocks without sound after which the microphone counts as lost."""
REASONS: Final[dict[Fault, str]] = {
    "unchanging": "the samples do not change: is it muted in a mixer, or broken?",
    "overloaded": "the samples are at full scale: lower the input level",
}


class MicrophoneState:
    """State machine of the microphone over monotonic times in seconds.

    `on_change` is called with the new state at each transition; `watchdog` is told of every sign of progress, and knows
    whether the self-test has passed; `now` is the present time.
    """

    def __init__(self, on_change: Callable[[MicState], None], watchdog: Watchdog, now: float) -> None:
        self._on_change = on_change
        self._watchdog = watchdog
        self._state: MicState = "starting"
        self._reason = ""
        self._last_sound = now
        self._silent = False

    @property
    def state(self) -> MicState:
        """The state that is published."""
        return self._state

    @property
    def described(self) -> str:
        """The state in one line, with the reason where it is lost: `lost (no microphone is connected; plug one in)`."""
        return f"lost ({printable(self._reason)})" if self._state == "lost" else self._state

    def on_block(self, now: float, *, fault: Fault | None = None) -> None:
        """Register a processed block; `fault`: why it contains no sound, None where it does."""
        self._watchdog.on_block(now)
        if fault is None:
            self._last_sound = now
            self._silent = False
        elif not self._silent and now - self._last_sound > NO_SOUND_S:
            self._silent = True
            self._enter("lost", f"no sound for {NO_SOUND_S:.0f} s: {REASONS[fault]}")
        if not self._silent and self._watchdog.self_test_passed:
            self._enter("ok", "sound arrives")

    def on_opened(self, now: float) -> None:
        """Register that the source was opened; the state becomes `ok` only when sound arrives."""
        self._watchdog.on_opened(now)
        self._last_sound = now
        self._silent = False

    def on_lost(self, now: float, reason: str) -> None:
        """Register that the source cannot be opened or has disappeared."""
        self._watchdog.on_heartbeat(now)
        self._enter("lost", reason)

    def on_muted(self, now: float) -> None:
        """Register that the source was closed for a mute."""
        self._watchdog.on_heartbeat(now)
        self._enter("muted", "the microphone is closed")

    def _enter(self, state: MicState, reason: str) -> None:
        if state == self._state:
            return
        if state == "lost":
            log.warning("[microphone_lost] microphone: %s -> lost (%s)", self._state, reason)
        else:
            log.info("[microphone_%s] microphone: %s -> %s (%s)", state, self._state, state, reason)
        self._state, self._reason = state, reason
        self._on_change(state)
