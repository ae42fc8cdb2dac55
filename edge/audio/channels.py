"""Mixes the channels of a microphone or a file to one.

Microphones differ in what their channels hold: the voice on one side only, six capsules with two unused ones, two
channels of opposite polarity, a channel of noise. `mean` averages the channels that carry sound: inverted channels are
turned round, silent ones and those with nothing but steady noise are left out. `loudest` uses the strongest channel
that carries sound. A number uses that channel alone.

    mixer = ChannelMixer(2, "mean")
    mono = mixer.mix(frames)  # float32 [n, 2] to float32 [n]
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge.audio.quantiles import quantiles

Frames = NDArray[np.float32]
ChannelChoice = Literal["mean", "loudest"] | int

MEMORY_S: Final = 3.0
"""Seconds of sound by which the channels are compared."""
PART_S: Final = 0.032
SILENT_DB: Final = -30.0
"""A channel that is so far below the strongest one carries no sound."""
INVERTED: Final = -0.5
"""Correlation with the leading channel below which a channel counts as inverted,"""
UPRIGHT: Final = 0.0
"""and above which it no longer does."""
QUIET: Final = 0.1
LOUD: Final = 0.95
"""Quantiles of the power that count as the quiet and the loud parts of a channel."""
STEADY_DB: Final = 3.0
"""A channel whose loud parts are at most so far above its quiet parts carries steady noise,"""
LIVELY_DB: Final = 9.0
"""if there is another one in which they are so far above."""
HYSTERESIS: Final = 2.0
"""Another channel leads only when it is stronger by this factor."""
TINY: Final = 1e-10
"""Power of digital silence, relative to full scale."""


class ChannelMixer:
    """Mixes frames of several channels to one, with a memory of what the channels held. Not thread-safe.

    Args:
        channels: number of channels.
        choice: `mean`, `loudest`, or the number of a channel, from 1.
        rate: sample rate in Hz.

    Raises `ValueError` for a number without a channel.
    """

    def __init__(self, channels: int, choice: ChannelChoice = "mean", rate: int = 16_000) -> None:
        if isinstance(choice, int) and not 1 <= choice <= channels:
            raise ValueError(f"there is no channel {choice}: the source has {channels}")
        self._channels = channels
        self._choice = choice
        self._part = max(1, round(PART_S * rate))
        self._size = max(8, round(MEMORY_S / PART_S))
        self._powers = np.zeros((0, channels))
        self._products = np.zeros((channels, channels))
        self._inverted = np.zeros(channels, bool)
        self._leader = 0
        self._weights = np.full(channels, 1.0 / channels)

    def mix(self, frames: Frames) -> Frames:
        """Mix frames, float32 `[n, channels]`, to one channel, float32 `[n]`; any scale."""
        if isinstance(self._choice, int):
            return frames[:, self._choice - 1]
        if self._channels == 1:
            return frames[:, 0]
        if len(frames):
            self._observe(frames)
        mono: Frames = frames @ self._weights.astype(np.float32)
        return mono

    def _observe(self, frames: Frames) -> None:
        whole = max(1, len(frames) // self._part)
        powers = np.empty((whole, self._channels))
        for number, part in enumerate(np.array_split(frames, whole) if whole > 1 else (frames,)):
            wide = part.T.astype(np.float64, order="C")
            # Without the mean of each part: a constant offset is no sound.
            wide -= np.add.reduce(wide, axis=1, keepdims=True) / len(part)
            products = wide @ wide.T / len(part)
            powers[number] = products.diagonal()
            self._products = self._products * 0.97 + products
        self._powers = np.concatenate((self._powers, powers))[-self._size :]
        quiet, loud = quantiles(self._powers, QUIET, LOUD)
        used = _with_sound(loud, quiet)
        strength = np.where(used, loud, 0.0)
        if not used[self._leader] or strength.max() > HYSTERESIS * strength[self._leader]:
            self._leader = int(strength.argmax())
        if self._choice == "loudest":
            self._weights = np.eye(self._channels)[self._leader]
        else:
            self._update_polarity()
            self._weights = np.where(self._inverted, -1.0, 1.0) * used / max(1, np.count_nonzero(used))

    def _update_polarity(self) -> None:
        power = np.sqrt(self._products.diagonal())
        lead = self._leader
        correlation = self._products[lead] / np.maximum(power[lead] * power, 1e-30)
        self._inverted = np.where(self._inverted, correlation < UPRIGHT, correlation < INVERTED)
        self._inverted[lead] = False


def _with_sound(loud: NDArray[np.float64], quiet: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which channels carry sound, bool `[channels]`, from the powers of their loud and quiet parts `[channels]`."""
    floor = 1e-6 * max(TINY, float(loud.max()))
    liveliness_db = 10.0 * np.log10((loud + floor) / (quiet + floor))
    used: NDArray[np.bool_] = np.ones(loud.size, bool)
    # A very weak channel is no evidence of what the others hold.
    strong = loud >= float(loud.max()) * 10.0 ** (2 * SILENT_DB / 10.0)
    if liveliness_db[strong].max() >= LIVELY_DB:
        used = liveliness_db > STEADY_DB
    used &= loud >= float(loud[used].max()) * 10.0 ** (SILENT_DB / 10.0)
    return used
