"""Passes the latest of changing values on, no more often than a rate allows; the last one always arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from edge.util.rate_limit import TokenBucket

T = TypeVar("T")


class Throttle(Generic[T]):
    """`deliver` gets the values; `rate` a second in the long run, `burst` at once.

    Example: `Throttle(publisher.set_mic, 0.2, 20, loop).set(signal)`.
    """

    def __init__(
        self, deliver: Callable[[T], object], rate: float, burst: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._deliver = deliver
        self._bucket = TokenBucket(rate, burst, loop.time)
        self._loop = loop
        self._later: asyncio.TimerHandle | None = None

    def set(self, value: T) -> None:
        """Deliver the value now, or as soon as the rate allows; a newer one takes its place."""
        self.cancel()
        wait = self._bucket.take()
        if wait == 0.0:
            self._deliver(value)
        else:
            self._later = self._loop.call_later(wait, self.set, value)

    def cancel(self) -> None:
        """Drop the value that waits."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
