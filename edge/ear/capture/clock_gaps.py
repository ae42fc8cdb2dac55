"""Sound that a device lost before it could be read, or makes up, found by the clock.

PyAudio closes a stream of whose overflow it is asked to tell; one that is not asked goes on, and says nothing.
"""

from __future__ import annotations

from typing import Final

WINDOW_S: Final = 1.0
"""A read may come late and lose nothing; a whole second of them that comes late has a hole before it."""
LOST_S: Final = 0.05
"""Shorter holes are not told from a device whose clock is slow (by up to 5 %)."""
FAST: Final = 1.05
"""No clock of a device is faster than that."""
AHEAD_S: Final = 3.0
"""A device that gives so much more than time has passed is broken: some do after they were unplugged, at full load."""


class Gaps:
    """A pure counter over monotonic times and the sound that was read until then, both in seconds."""

    def __init__(self, now: float) -> None:
        self._last = self._window = now
        self._ahead = 0.0
        self._behind = 0.0
        self._least = float("inf")
        self._before: float | None = None

    def heard(self, seconds: float, now: float) -> bool:
        """After each read: whether sound was lost, once for each hole."""
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
    def impossible(self) -> bool:
        """Whether the device gives far more sound than time has passed."""
        return self._ahead > AHEAD_S
