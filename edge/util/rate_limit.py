"""A token bucket: a rate in the long run, a burst at most at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

TOLERANCE: Final = 1e-9
"""Tokens. Without it a caller that waits exactly as long as `wait_s` says may find 0.9999999 of a token."""


class TokenBucket:
    """A rate limiter that starts full.

    Args:
        rate: tokens that are added per second.
        burst: the most tokens that it ever holds, however long nothing was taken.
        clock: returns monotonic seconds.
        start: tokens at the beginning (default: `burst`).

    Example:
        bucket = TokenBucket(2.0, 10)
        if bucket.take() > 0:
            return  # too fast: dropped
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        start: float | None = None,
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst) if start is None else min(float(burst), start)
        self._at = clock()

    def wait_s(self) -> float:
        """Return the seconds until a token is available; 0.0 when one is available now. Takes none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._tokens >= 1.0 - TOLERANCE else (1.0 - self._tokens) / self._rate

    def take(self) -> float:
        """Take a token and return 0.0, or take none and return the seconds until one is available."""
        wait = self.wait_s()
        if wait == 0.0:
            self._tokens -= 1.0
        return wait
