"""How loud it is: levels in dB of full scale, and the noise of the room before somebody spoke."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.audio.segmenter import Samples

SILENCE_DBFS: Final = -100.0
"""Less than the rounding of 16-bit numbers; also what digital silence is given as."""
MEMORY_BLOCKS: Final = 94
"""Three seconds."""


def power(samples: Samples) -> float:
    """Mean square of int16 samples, full scale = 1; of none: 0."""
    if not samples.size:
        return 0.0
    wide = samples.astype(np.float32)
    return float(np.dot(wide, wide)) / samples.size / 32768.0**2


def dbfs(mean_square: float) -> float:
    """RMS level in dB of full scale, never below `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 10.0 * math.log10(mean_square)) if mean_square > 0 else SILENCE_DBFS


def clipped(samples: Samples) -> float:
    """Share of int16 samples at full scale; of none: 0."""
    if not samples.size:
        return 0.0
    return float(np.count_nonzero((samples >= 32767) | (samples <= -32767))) / samples.size


class NoiseFloor:
    """The median power of the last three seconds in which nobody spoke: a door that slams does not move it."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=MEMORY_BLOCKS)

    def add(self, block_power: float) -> None:
        """A block without speech."""
        self._powers.append(block_power)

    def snr_db(self, speech: Samples, block: int) -> float:
        """Level of speech above the room before it, in dB (-160..160).

        When speech is all that was ever heard, its own quietest tenth stands for the room.
        """
        loud = power(speech)
        if self._powers:
            floor = float(np.median(self._powers))
        else:
            parts = [power(speech[at : at + block]) for at in range(0, speech.size, block)]
            floor = float(np.quantile(parts, 0.1)) if parts else 0.0
        # What the room adds to the speech is not speech.
        above = max(loud - floor, loud * 1e-3)
        return max(-160.0, min(160.0, dbfs(above) - dbfs(floor)))
