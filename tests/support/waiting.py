"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(condition: Callable[[], Found], seconds: float = 30.0, what: object = "") -> Found:
    """Poll a condition until it is true, and return what it gave. Fails with `what` (text, or a function for it)."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {seconds} s: {text or condition}")
        time.sleep(0.02)
    return found


def seconds_until(condition: Callable[[], object], seconds: float, what: object = "") -> float:
    """Like `until`, but return how long it took."""
    begun = time.monotonic()
    until(condition, seconds, what)
    return time.monotonic() - begun
