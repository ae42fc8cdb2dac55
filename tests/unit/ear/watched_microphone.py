"""The state of the microphone together with its watchdog, as the ear's process combines them."""

from __future__ import annotations

from collections.abc import Callable

from edge.ear.microphone_state import MicrophoneState
from edge.ear.watchdog import Watchdog
from edge.protocol import MicState


class WatchedMicrophone(MicrophoneState):
    """Both, started at time 0."""

    def __init__(self, on_change: Callable[[MicState], None], speed: float = 1.0) -> None:
        self.watchdog = Watchdog(0.0, speed)
        super().__init__(on_change, self.watchdog, 0.0)
        self.on_heartbeat = self.watchdog.on_heartbeat
        self.on_self_test = self.watchdog.on_self_test
        self.self_test_due = self.watchdog.self_test_due

    def alive(self, now: float) -> bool:
        return self.watchdog.alive(now, self.state)
