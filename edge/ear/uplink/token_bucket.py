"""A token bucket, so that the ear never says more than the contract allows."""

from __future__ import annotations

import time


class Bucket:
    """So many messages a second in the long run, so many at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._at = float(burst), time.monotonic()

    def wait_s(self) -> float:
        """Seconds until a message may go; 0 when one may go now."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate + 0.001

    def take(self) -> None:
        """One message has gone."""
        self._tokens -= 1.0
