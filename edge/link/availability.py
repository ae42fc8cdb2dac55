"""The device's own availability at the broker: put right where it says something else than we do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.util.rate_limit import TokenBucket

log = logging.getLogger(__name__)

PER_SECOND: Final = 0.1
BURST: Final = 3
"""How often it is put right: two clients that contradict each other must not flood the broker."""


class OwnAvailability:
    """Publishes `online` again after another client, or a late last will of ours, has said otherwise.

    `is_online` says whether we are; `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        topic: str,
        publish_online: Callable[[], None],
        is_online: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.topic = topic
        self._publish_online = publish_online
        self._is_online = is_online
        self._bucket = TokenBucket(PER_SECOND, BURST, clock)
        self._seen = False

    def connected(self) -> None:
        """Note a new connection: until our own `online` comes back, only what was there before is seen."""
        self._seen = False

    def handle(self, payload: bytes) -> None:
        """Handle a message on our availability topic, our own ones included."""
        if payload == b"online":
            self._seen = True
            return
        if not (self._seen and self._is_online()) or self._bucket.take() > 0:
            return
        log.warning("[availability_overwritten] %s said %.20r: corrected", self.topic, payload)
        self._publish_online()
