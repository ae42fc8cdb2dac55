"""Filters of the samples where they enter: removal of a constant offset."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

LONGEST: Final = 4096
"""Samples that are filtered at once."""
CUTOFF_HZ: Final = 5.0
"""Far below every voice (at 100 Hz the loss is 0.01 dB), and settled after a tenth of a second."""


class DcBlocker:
    """A first-order high-pass filter with a memory, for the blocks of one source. Not thread-safe.

    A microphone with a constant offset would otherwise seem loud, and its noise too.
    """

    def __init__(self, rate: int = 16_000) -> None:
        self._pole = 1.0 / (1.0 + 2.0 * np.pi * CUTOFF_HZ / rate)
        self._input: float | None = None
        self._output = 0.0
        self._powers = self._pole ** np.arange(1, LONGEST + 1)

    def reset(self) -> None:
        """Forget the past, as after a gap: the mean of the next samples counts as the offset."""
        self._input, self._output = None, 0.0

    def process(self, samples: Samples) -> Samples:
        """Filter samples, int16 `[n]`; returns int16 `[n]`."""
        if samples.size > LONGEST:
            parts = [self.process(samples[at : at + LONGEST]) for at in range(0, samples.size, LONGEST)]
            return np.concatenate(parts)
        if not samples.size:
            return samples
        wide = samples.astype(np.float64)
        before = wide.mean() if self._input is None else self._input
        steps = np.diff(wide, prepend=before)
        # y[n] = p (y[n-1] + x[n] - x[n-1]), as a cumulative sum of what is weighted with p^-n.
        powers = self._powers[: wide.size]
        filtered = powers * (self._output + np.cumsum(steps * self._pole / powers))
        self._input, self._output = float(wide[-1]), float(filtered[-1])
        result: Samples = np.clip(np.rint(filtered), -32768, 32767).astype(np.int16)
        return result
