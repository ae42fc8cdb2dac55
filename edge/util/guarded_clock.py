"""Wall-clock time for everything that deletes, expires or signs: a clock that jumps ahead is followed only slowly.

A wrong clock must not erase a year of events in a minute, end all sessions, or sign metadata for ten years. The guarded
time starts at a reference that is known to be past (the newest data, the last signature, what was saved before) and is
bounded by monotonic progress: it advances as real time does, and where the system clock is ahead of it, it catches up
at one day an hour while a time service keeps the clock, and not at all otherwise. A machine that was off for a week is
right again after some hours; a clock that is wrong by a year is noticed long before that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from edge.util import timestamps
from edge.util.system_clock import boottime, synced

log = logging.getLogger(__name__)

CATCH_UP: Final = 24.0
"""Seconds per second by which the guarded time approaches a synchronised clock that is ahead of it."""
ALLOWANCE_S: Final = 3600.0
"""By so much the clock may be ahead of the reference at the start."""
JUMP_S: Final = 3600.0
"""A clock that is further ahead is reported."""


class GuardedClock:
    """Guarded wall-clock time; may be used by several threads.

    Args:
        reference: a time that is surely past, in seconds since 1970; None: there is nothing to compare with, and the
            present time is taken.
        allowance_s: by how much the clock may be ahead of the reference at the start.
        wall: the clock to guard, in seconds since 1970.
        steady: a clock that only measures progress, in seconds.
        is_synced: whether a time service keeps the wall clock.
    """

    def __init__(
        self,
        reference: float | None,
        *,
        allowance_s: float = ALLOWANCE_S,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = boottime,
        is_synced: Callable[[], bool] = synced,
    ) -> None:
        self._wall, self._steady, self._is_synced = wall, steady, is_synced
        self._lock = threading.Lock()
        self._steady_at = steady()
        now = wall()
        self._bound = now if reference is None else min(now, reference + allowance_s)
        self._reported = False

    def now(self) -> float:
        """Return the guarded time in seconds since 1970; never later than the wall clock."""
        with self._lock:
            wall, steady, is_synced = self._wall(), self._steady(), self._is_synced()
            elapsed = max(0.0, steady - self._steady_at)
            self._steady_at = steady
            bound = self._bound + elapsed
            if wall > bound and is_synced:
                bound = min(wall, bound + elapsed * (CATCH_UP - 1))
            elif wall < bound and is_synced:
                # It was ahead and has been corrected.
                bound = wall
            self._bound = bound
            self._report(wall - bound)
            return min(wall, bound)

    def ahead_s(self) -> float:
        """Return by how many seconds the wall clock is ahead of the guarded time; more than `JUMP_S` is a problem."""
        return max(0.0, self._wall() - self.now())

    def _report(self, ahead: float) -> None:
        if ahead <= JUMP_S:
            self._reported = False
        elif not self._reported:
            self._reported = True
            log.error(
                "[clock_jump] the clock is %.1f days ahead of what is known (%s): nothing is deleted, expired or "
                "signed by it; set the clock, or wait: it is believed after a while",
                ahead / 86_400, timestamps.from_unix(self._bound),
            )  # fmt: skip
