"""Detects lost or invented sound of a device by comparing it with the clock.

PyAudio closes a stream on overflow when it is asked to report overflows; otherwise it goes on and reports nothing.
"""

from __future__ import annotations

from typing import Final

WINDOW_S: Final = 1.0
"""One late read loses nothing; when all reads of a second are late, there is a gap before them."""
LOST_S: Final = 0.05
"""Shorter gaps cannot be distinguished from a device whose clock is slow (by up to 5 %)."""
FAST: Final = 1.05
"""No device's clock is faster than this."""
AHEAD_S: Final = 3.0
"""A device that delivers so much more sound than time has passed is broken; some do when they are unplugged."""


class GapDetector:
    """Detects lost sound by comparing monotonic time with the sound that was read, both in seconds."""

    def __init__(self, now: float) -> None:
        self._last = self._window = now
        self._ahead = 0.0
        self._behind = 0.0
        self._least = float("inf")
        self._before: float | None = None

    def add_read(self, seconds: float, now: float) -> bool:
        """Register a read of `seconds` of sound; returns True once for each gap."""
        elapsed = now - self._last
        self._last = now
        # A leaky bucket: a clock that is a little fast never fills it, however many days it runs.
        self._ahead = max(-AHEAD_S, self._ahead + seconds - FAST * elapsed)
        self._behind += elapsed - seconds
        self._least = min(self._least, self._behind)
        if now - self._window < WINDOW_S:
            return False
        least, before = self._least, self._before
        self._window, self._least, self._before = now, float("inf"), least
        return before is not None and least - before > LOST_S

    @property
    def too_fast(self) -> bool:
        """Whether the device delivers far more sound than time has passed."""
        return self._ahead > AHEAD_S
