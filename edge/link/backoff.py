"""How long to wait before the next attempt to connect.

"Full jitter" (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a uniform choice from
a window that doubles. A thousand boxes that lose one broker at the same instant then come back spread over
the window and not in waves.
"""

from __future__ import annotations

import random

FIRST_WINDOW_S = 4.0
CAP_S = 60.0


class Backoff:
    """Windows of 4, 8, 16, 32, 60, 60, … seconds; `reset` begins anew."""

    def __init__(
        self, rng: random.Random | None = None, first: float = FIRST_WINDOW_S, cap: float = CAP_S
    ) -> None:
        self._rng = rng or random.Random()
        self._first = first
        self._cap = cap
        self._window = first

    def next(self) -> float:
        """Seconds to wait, from 0.1 s to the window; at most `cap`."""
        window = self._window
        self._window = min(self._cap, window * 2)
        return self._rng.uniform(min(0.1, window), window)

    def reset(self) -> None:
        """The connection has proved itself."""
        self._window = self._first
