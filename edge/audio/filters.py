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
        self._weights = self._pole / self._powers

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
        steps = np.empty_like(wide)
        steps[0] = wide[0] - (wide.mean() if self._input is None else self._input)
        np.subtract(wide[1:], wide[:-1], out=steps[1:])
        self._input = float(wide[-1])
        # y[n] = p (y[n-1] + x[n] - x[n-1]), as a cumulative sum of what is weighted with p^-n. In place: this runs for
        # all sound, and in silence it is most of the work beside the detector.
        steps *= self._weights[: wide.size]
        filtered = np.cumsum(steps, out=steps)
        filtered += self._output
        filtered *= self._powers[: wide.size]
        self._output = float(filtered[-1])
        np.rint(filtered, out=filtered)
        result: Samples = filtered.clip(-32768, 32767, out=filtered).astype(np.int16)
        return result
