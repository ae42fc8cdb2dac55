"""Signal levels in dB of full scale (dBFS), and the noise floor of the room."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.audio.quantiles import quantile
from edge.audio.segmenter import BLOCK, RATE, Samples

SILENCE_DBFS: Final = -100.0
"""Level of digital silence; below the quantisation noise of 16 bits."""
MEMORY_BLOCKS: Final = 94
"""Blocks over which the noise floor is computed: three seconds."""

LOWEST_HZ: Final = 150.0
"""Lowest frequency that counts as sound: far enough above hum of 50 and 60 Hz, seen through the window."""
_WINDOW: Final = np.blackman(BLOCK + 1)[:BLOCK]
_LOWEST_BIN: Final = math.ceil(LOWEST_HZ * BLOCK / RATE)
_SCALE: Final = 2.0 / (BLOCK * float(np.square(_WINDOW).sum()) * 32768.0**2)


def power(samples: Samples) -> float:
    """Mean square of int16 samples `[n]`, relative to full scale; 0 for an empty array."""
    if not samples.size:
        return 0.0
    wide = samples.astype(np.float32)
    return float(np.dot(wide, wide)) / samples.size / 32768.0**2


def sound_power(samples: Samples) -> float:
    """Mean square of int16 samples `[n]`, 16 kHz, above `LOWEST_HZ`, relative to full scale; 0 for an empty array.

    Mains hum and a constant offset are no sound of the room: they would raise the noise floor and hide the voice.
    """
    if samples.size < BLOCK:
        return power(samples)
    return float(block_powers(samples[: samples.size // BLOCK * BLOCK].reshape(-1, BLOCK)).mean())


def block_powers(blocks: Samples) -> NDArray[np.float64]:
    """`sound_power` of each block, float64 `[n]`, of int16 samples `[n, BLOCK]`."""
    spectrum = np.fft.rfft(blocks * _WINDOW, axis=1)[:, _LOWEST_BIN:]
    parts = spectrum.view(np.float64)
    energy: NDArray[np.float64] = np.einsum("ij,ij->i", parts, parts)
    return energy * _SCALE


def dbfs(mean_square: float) -> float:
    """Convert a mean square to the RMS level in dBFS, at least `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, 10.0 * math.log10(mean_square)) if mean_square > 0 else SILENCE_DBFS


def clipped(samples: Samples) -> float:
    """Share of int16 samples `[n]` at full scale, 0 to 1; 0 for an empty array."""
    if not samples.size:
        return 0.0
    return float(np.count_nonzero((samples >= 32767) | (samples <= -32767))) / samples.size


class NoiseFloor:
    """The median power of the last three seconds without speech; short noises do not affect it."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=MEMORY_BLOCKS)

    def add(self, block_power: float) -> None:
        """Add the power (mean square, see `sound_power`) of a block without speech."""
        self._powers.append(block_power)

    def snr_db(self, speech: Samples, block: int) -> float:
        """Level of speech, int16 `[n]`, above the noise floor, in dB (-160 to 160).

        While no block without speech was added, the quietest tenth of the speech's own blocks (of `block` samples) are
        used.
        """
        loud = sound_power(speech)
        if self._powers:
            floor = quantile(self._powers, 0.5)
        else:
            parts = [sound_power(speech[at : at + block]) for at in range(0, speech.size, block)]
            floor = quantile(parts, 0.1) if parts else 0.0
        # The noise is contained in the speech, too.
        above = max(loud - floor, loud * 1e-3)
        return max(-160.0, min(160.0, dbfs(above) - dbfs(floor)))
