"""Wakes the thread of the uplink from other threads, through a descriptor that it can poll."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable


class Wakeup:
    """Thread-safe. `descriptor` is readable after `notify` until `clear`."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def notify(self) -> None:
        """Wake the waiting thread."""
        os.eventfd_write(self.descriptor, 1)

    def clear(self) -> None:
        """Wait for the next `notify`."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def sleep(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Sleep, but end at once when `stopped` is true after a `notify`."""
        end = time.monotonic() + seconds
        while not stopped() and (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.descriptor], [], [], left)
            if ready:
                self.clear()
