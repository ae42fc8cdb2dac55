"""Augmentation of one clip in the time domain and of its features. Pure functions of a random generator.

Rooms are simulated by exponentially decaying noise (Polack's model, 1988), which costs one short convolution. Masks
are those of SpecAugment (Park et al. 2019, arXiv 1904.08779).
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from training.recipes.recipe import Augment

Float = NDArray[np.float32]
RATE = 16000
CODECS = (
    ("WAV", "ULAW", 8000),
    ("WAV", "GSM610", 8000),
    ("OGG", "OPUS", 16000),
    ("MP3", "MPEG_LAYER_III", 16000),
)


def change_speed(samples: Float, factor: float) -> Float:
    """Play float32 samples `[n]` faster (`factor` > 1) or slower by resampling.

    Returns `[n / factor]`, pitch changes too.
    """
    import soxr

    result: Float = soxr.resample(samples, RATE * factor, RATE, quality="MQ").astype(np.float32)
    return result


def convolve(samples: Float, kernel: Float) -> Float:
    """Convolve float32 samples `[n]` with a kernel `[m]`, and keep the first `n` samples."""
    size = 1 << math.ceil(math.log2(samples.size + kernel.size - 1))
    product = np.fft.rfft(samples, size) * np.fft.rfft(kernel, size)
    return np.fft.irfft(product, size)[: samples.size].astype(np.float32)


def reverberate(samples: Float, rt60: float, direct_db: float, random: np.random.Generator) -> Float:
    """Add synthetic reverberation to float32 samples `[n]`; returns `[n]`.

    The echo decays by 60 dB in `rt60` seconds and is `direct_db` dB quieter than the direct sound.
    """
    time = np.arange(int(rt60 * RATE)) / RATE
    tail = random.standard_normal(time.size) * 10.0 ** (-3.0 * time / rt60)
    tail[: int(random.uniform(0.002, 0.012) * RATE)] = 0.0
    echo = 10.0 ** (-direct_db / 20.0)
    tail *= echo / max(1e-9, float(np.sqrt(np.sum(tail**2))))
    tail[0] = 1.0
    return convolve(samples, tail.astype(np.float32))


def coloured_noise(size: int, random: np.random.Generator) -> Float:
    """Generate float32 noise `[size]` between white and brown.

    Its power falls with frequency to the power of a random exponent, 0 to 2.
    """
    spectrum = np.fft.rfft(random.standard_normal(size))
    spectrum /= np.maximum(np.arange(spectrum.size), 8.0) ** (random.uniform(0.0, 2.0) / 2.0)
    return np.fft.irfft(spectrum, size).astype(np.float32)


def cut(noise: Float, size: int, random: np.random.Generator) -> Float:
    """Take a random stretch of `size` samples of a float32 recording `[n]`; a shorter one is repeated."""
    if noise.size < size:
        noise = np.tile(noise, -(-size // noise.size))
    start = int(random.integers(0, noise.size - size + 1))
    return noise[start : start + size]


def add_noise(samples: Float, noise: Float, snr_db: float) -> Float:
    """Add noise to float32 samples, both `[n]`, at a signal-to-noise ratio of mean powers in dB."""
    speech = float(np.mean(np.square(samples)))
    power = float(np.mean(np.square(noise)))
    if power <= 1e-12 or speech <= 1e-12:
        return samples
    return samples + noise * np.float32(math.sqrt(speech / power * 10.0 ** (-snr_db / 10.0)))


def overdrive(samples: Float, decibels: float) -> Float:
    """Simulate an overloaded microphone: amplify float32 `[n]` by `decibels` and clip at the original peak.

    Returns a new array.
    """
    peak = float(np.abs(samples).max())
    result: Float = np.clip(samples * np.float32(10.0 ** (decibels / 20.0)), -peak, peak)
    return result


def codec(samples: Float, name: tuple[str, str, int]) -> Float:
    """Encode and decode float32 samples `[n]` with a lossy codec (format, subtype, Hz) of libsndfile; returns `[n]`."""
    import soundfile
    import soxr

    container, kind, rate = name
    file = io.BytesIO()
    peak = max(1e-6, float(np.abs(samples).max()))
    soundfile.write(
        file, soxr.resample(samples / peak * 0.9, RATE, rate), rate, format=container, subtype=kind
    )
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    decoded = soxr.resample(decoded, rate, RATE) * (peak / 0.9)
    result: Float = np.pad(decoded, (0, max(0, samples.size - decoded.size)))[: samples.size].astype(
        np.float32
    )
    return result


def speech(
    recording: NDArray[np.int16],
    noises: Sequence[NDArray[np.int16]],
    how: Augment,
    random: np.random.Generator,
    rooms: Sequence[Float] = (),
) -> Float:
    """Augment an int16 recording `[n]` at 16 kHz in the time domain; returns a random stretch of at most 3 s, float32.

    Reverberation is that of one of `rooms`, impulse responses, if there are any.
    """
    samples = features.to_float(recording)
    begin, end = features.speech_bounds(samples)
    margin = how.edge_ms * RATE // 1000
    begin = max(0, begin - int(random.integers(0, margin + 1)))
    end = min(samples.size, end + int(random.integers(0, margin + 1)))
    samples = samples[begin:end]
    longest = features.DEFAULT.window_samples
    if random.random() < how.speed_share:
        samples = change_speed(samples, 1.0 + random.uniform(-how.speed, how.speed))
    if samples.size > longest:
        start = int(random.integers(0, samples.size - longest + 1))
        samples = samples[start : start + longest]
    if random.random() < how.reverberation_share:
        if rooms:
            samples = convolve(samples, rooms[int(random.integers(len(rooms)))])
        else:
            samples = reverberate(
                samples, random.uniform(*how.rt60_s), random.uniform(*how.direct_db), random
            )
    if random.random() < how.noise_share:
        if noises and random.random() < how.recorded_noise_share:
            noise = cut(features.to_float(noises[int(random.integers(len(noises)))]), samples.size, random)
        else:
            noise = coloured_noise(samples.size, random)
        samples = add_noise(samples, noise, random.uniform(*how.snr_db))
    if random.random() < how.overdrive_share:
        samples = overdrive(samples, random.uniform(*how.overdrive_db))
    if random.random() < how.codec_share:
        samples = codec(samples, CODECS[int(random.integers(len(CODECS)))])
    gain = np.float32(10.0 ** (random.uniform(*how.gain_db) / 20.0))
    result: Float = np.clip(samples * gain, -1.0, 1.0)
    return result


def vocal_tract(mel: Float, factor: float) -> Float:
    """Stretch the frequency axis of log-mel features `[frames, mels]`, float32, by a factor (Jaitly & Hinton 2013)."""
    size = mel.shape[1]
    place = np.clip(np.arange(size) * factor, 0, size - 1)
    low = np.minimum(place.astype(int), size - 2)
    share = (place - low).astype(np.float32)
    result: Float = mel[:, low] * (1.0 - share) + mel[:, low + 1] * share
    return result


def equalise(mel: Float, most_db: float, random: np.random.Generator) -> Float:
    """Add one smooth random curve, at most `most_db` dB, to every frame of log-mel features `[frames, mels]`."""
    knots = random.uniform(-most_db, most_db, 6) / 40.0
    curve = np.interp(np.linspace(0, 5, mel.shape[1]), np.arange(6), knots)
    result: Float = np.maximum(mel + curve.astype(np.float32), mel.min())
    return result


def spectrum(mel: Float, how: Augment, random: np.random.Generator) -> Float:
    """Augment log-mel features, float32 `[frames, mels]`: vocal-tract length, a microphone's response, masks."""
    if how.vocal_tract > 0:
        mel = vocal_tract(mel, 1.0 + random.uniform(-how.vocal_tract, how.vocal_tract))
    if how.equaliser_db > 0:
        mel = equalise(mel, how.equaliser_db, random)
    return mask(mel, how, random)


def mask(mel: Float, how: Augment, random: np.random.Generator) -> Float:
    """Replace random bands and stretches of log-mel features `[frames, mels]`, float32, by their mean (SpecAugment)."""
    mel = mel.copy()
    filler = mel.mean()
    for _ in range(how.frequency_masks):
        width = int(random.integers(0, how.frequency_mask_mels + 1))
        start = int(random.integers(0, mel.shape[1] - width + 1))
        mel[:, start : start + width] = filler
    for _ in range(how.time_masks):
        width = int(random.integers(0, int(mel.shape[0] * how.time_mask_share) + 1))
        start = int(random.integers(0, mel.shape[0] - width + 1))
        mel[start : start + width] = filler
    return mel
