"""When the next check for updates is due: regularly, earlier after an announcement, later after failures."""

from __future__ import annotations

import logging
import math
import random
from typing import Final

import msgspec

from edge.config.settings import Updates
from edge.protocol import Announcement

log = logging.getLogger(__name__)

RETRY_S: Final = 900.0
"""Delay after a failed check; it doubles with each further failure."""
FIRST_CHECK_S: Final = 2.0
"""Delay of the first check after a start."""


class CheckSchedule:
    """Decides when the next check for updates is due. All times are the caller's monotonic seconds."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._at = math.inf
        self._failures = 0
        self._verified = self._ignored = 0
        """Versions of the timestamp metadata: verified by the last check, and in the last ignored announcement."""

    def start(self, now: float) -> None:
        """Schedule the first check, a random time from now: many devices may start at once after a power cut."""
        self._at = now + FIRST_CHECK_S + random.uniform(0, self._updates.jitter_s)

    def due(self, now: float) -> bool:
        """Whether a check is due."""
        return now >= self._at

    def begin(self) -> None:
        """Note that a check has begun: no other one is due until it has ended, or is requested."""
        self._at = math.inf

    def request(self, now: float) -> None:
        """Make a check due now."""
        self._at = now

    def on_announcement(self, payload: bytes, now: float) -> None:
        """Schedule a check soon, if a message announces a release that was not seen; it carries no trust.

        Raises nothing.
        """
        try:
            version = msgspec.json.decode(payload, type=Announcement).timestamp_version
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("[announcement_invalid] an announcement of a release is not valid, and ignored")
            return
        if version > self._verified:
            self._at = min(self._at, now + random.uniform(0, self._updates.jitter_s))
        elif version != self._ignored:
            # The retained announcement comes with every connection, and a replayed one must have no effect.
            self._ignored = version
            log.info(
                "[announcement_ignored] timestamp %d is old or replayed: %d was verified",
                version, self._verified,
            )  # fmt: skip

    def finished(self, now: float, *, failed: bool, timestamp_version: int) -> None:
        """Note that a check has ended, and schedule the next one, which an announcement may bring forward."""
        self._verified = timestamp_version or self._verified
        self._failures = self._failures + 1 if failed else 0
        seconds = 3600 * self._updates.check_hours
        if failed:
            seconds = min(seconds, RETRY_S * 2 ** min(self._failures - 1, 20))
        self._at = min(self._at, now + seconds * random.uniform(0.9, 1.1))
