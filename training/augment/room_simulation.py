"""Simulated rooms: the way from a mouth to a microphone, as impulse responses to convolve speech with.

Early reflections by the image source method (Allen & Berkley 1979) in `pyroomacoustics`; its number of images grows
with the cube of time, so behind the first tenths of a second follows a tail of decaying noise (Polack 1988) that takes
up the level where the images end, and whose high frequencies die sooner, as air and curtains make them do.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data.progress import Progress

Float = NDArray[np.float32]
RATE: Final = 16000
ORDER: Final = 12
"""Reflections of one image: 0.1 to 0.4 s of sound, 30 ms to compute."""
RT60_S: Final = (0.15, 3.0)
SMALLEST_M: Final = (2.2, 2.2, 2.2)
LARGEST_M: Final = (14.0, 10.0, 5.0)
CROSSING_HZ: Final = 1500.0
"""Above, the tail decays in 0.6 of the time."""


def bank(count: int, seed: int, quiet: bool = False) -> list[Float]:
    """Simulate `count` rooms, each with one source and one microphone, and return their impulse responses.

    Each is float32 `[n]` at 16 kHz and begins with the direct sound, whose largest sample is 1. The same seed gives the
    same rooms. Raises `UserError` without pyroomacoustics.
    """
    if not count:
        return []
    try:
        import pyroomacoustics  # noqa: F401
    except ImportError:
        raise UserError(
            "simulated rooms need pyroomacoustics: install the extra training (docs/install.md)"
        ) from None
    return [
        simulate(np.random.default_rng([seed, 7, index]))
        for index in Progress(range(count), "rooms", "room", quiet=quiet)
    ]


def simulate(random: np.random.Generator) -> Float:
    """Simulate the impulse response of one random room, float32 `[n]` at 16 kHz.

    Size, reverberation time and both positions are drawn.
    """
    import pyroomacoustics as acoustics

    while True:
        size = random.uniform(SMALLEST_M, LARGEST_M)
        rt60 = float(np.exp(random.uniform(*np.log(RT60_S))))
        try:
            absorption, order = acoustics.inverse_sabine(rt60, size)
        except ValueError:
            continue  # a large room cannot be that dry
        break
    room = acoustics.ShoeBox(
        size, fs=RATE, materials=acoustics.Material(absorption), max_order=min(order, ORDER),
        air_absorption=True,
    )  # fmt: skip
    room.add_source(random.uniform(0.3, size - 0.3))
    room.add_microphone(random.uniform(0.1, size - 0.1))
    room.compute_rir()
    early = np.asarray(room.rir[0][0], np.float64)
    early = early[int(np.abs(early).argmax()) :]
    return with_tail(early, rt60, random)


def with_tail(early: NDArray[np.float64], rt60: float, random: np.random.Generator) -> Float:
    """Extend early reflections `[n]` at 16 kHz by a noise-like tail, down to -60 dB of the direct sound."""
    # Images of the highest order arrive over a span of time: their sum is whole for about half of it.
    whole = max(160, early.size // 2)
    times = np.arange(int(rt60 * RATE)) / RATE
    if times.size <= whole:
        return _scaled(early)
    noise = random.standard_normal(times.size)
    spectrum = np.fft.rfft(noise)
    low = 1.0 / (1.0 + (np.fft.rfftfreq(times.size, 1.0 / RATE) / CROSSING_HZ) ** 4)
    tail = np.fft.irfft(spectrum * low, times.size) * 10.0 ** (-3.0 * times / rt60)
    tail += np.fft.irfft(spectrum * (1.0 - low), times.size) * 10.0 ** (-3.0 * times / (0.6 * rt60))
    span = slice(whole // 2, whole)
    level = math.sqrt(float(np.mean(early[span] ** 2)) / max(1e-20, float(np.mean(tail[span] ** 2))))
    tail[:whole] = 0.0
    response = tail * level
    response[:whole] += early[:whole]
    return _scaled(response)


def _scaled(response: NDArray[np.float64]) -> Float:
    result: Float = (response / np.abs(response).max()).astype(np.float32)
    return result
