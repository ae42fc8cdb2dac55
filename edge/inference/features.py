"""Log-mel features in NumPy, shared by device and training, so that the two cannot differ.

The recipe is that of OpenAI's Whisper (`whisper/audio.py`, MIT): 16 kHz, periodic Hann of 400 samples, hop 160, power
spectrum, 80 Slaney mels, log10, clamped to 8 below the maximum of the window, `(x + 4) / 4`. The last frame is dropped,
so `n` samples give `n // 160` frames. librosa is the reference in the tests and is not needed here.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


class FeatureSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All parameters of the network's input; its hash is in every bundle."""

    kind: str = "whisper-log-mel"
    sample_rate: int = 16000
    n_fft: int = 400
    hop: int = 160
    mels: int = 80
    window_frames: int = 300
    """Frames of an input window of the network: 3 s."""
    hop_frames: int = 150
    """Frames between the starts of two windows of long speech: 1.5 s."""
    trim_db: float = 35.0
    """Sound at both ends that is so many dB below the loudest 25 ms counts as silence."""
    trim_margin_ms: int = 60
    """Margin in ms that is kept around the louder part."""

    def sha256(self) -> str:
        """Hash of the canonical JSON (sorted keys, no spaces), in hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def window_samples(self) -> int:
        """Number of samples of a window."""
        return self.window_frames * self.hop

    @property
    def tokens(self) -> int:
        """Number of tokens of a window: the network halves the number of frames."""
        return self.window_frames // 2


DEFAULT: Final = FeatureSpec()
MIN_SAMPLES: Final = 480
"""Fewer samples (three hops, 30 ms) give no features."""
_BLOCK: Final = 50
"""Frames that are transformed together: their temporaries stay in the processor's cache, and the allocator keeps their
pages. All frames of 3 s at once take more than twice as long."""


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale (Auditory Toolbox): linear below 1 kHz, logarithmic above."""
    linear = hz * 3.0 / 200.0
    above = 15.0 + np.log(np.maximum(hz, 1000.0) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(hz < 1000.0, linear, above)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * 200.0 / 3.0
    above = 1000.0 * np.exp(np.log(6.4) / 27.0 * (np.maximum(mel, 15.0) - 15.0))
    return np.where(mel < 15.0, linear, above)


@functools.lru_cache(maxsize=4)
def mel_filters(sample_rate: int = 16000, n_fft: int = 400, mels: int = 80) -> Float:
    """Return triangular mel filters of equal area, float32 `[n_fft // 2 + 1, mels]`."""
    edges = _hz_to_mel(np.array([0.0, sample_rate / 2]))
    points = _mel_to_hz(np.linspace(edges[0], edges[1], mels + 2))
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)[:, None]
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (points[2:] - points[:-2]))
    result = filters.astype(np.float32)
    result.setflags(write=False)
    return result


@functools.lru_cache(maxsize=4)
def _hann(size: int) -> NDArray[np.float64]:
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
    window.setflags(write=False)
    return window


def to_float(samples: NDArray[Any]) -> Float:
    """Convert mono samples, int16 or float `[n]`, to float32 `[n]` within -1..1.

    Raises `ValueError` for other types and shapes, and for NaN or infinity.
    """
    if samples.ndim != 1:
        raise ValueError(f"samples must be one-dimensional (mono), not of shape {samples.shape}")
    if samples.dtype == np.int16:
        scaled: Float = np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)
        return scaled
    if samples.dtype.kind != "f":
        raise ValueError(f"samples must be int16 or float, not {samples.dtype}")
    result = samples.astype(np.float32, copy=False)
    if not np.isfinite(result).all():
        raise ValueError("samples contain NaN or infinity")
    return result


def log_mel(samples: Float, spec: FeatureSpec = DEFAULT) -> Float:
    """Compute features, float32 `[n // hop, mels]`, of samples, float32 `[n]`, 16 kHz.

    Raises `ValueError` below `MIN_SAMPLES`.
    """
    if samples.size < MIN_SAMPLES:
        raise ValueError(
            f"{samples.size} samples are too few for features, at least {MIN_SAMPLES} are needed"
        )
    window, filters = _hann(spec.n_fft), mel_filters(spec.sample_rate, spec.n_fft, spec.mels)
    mel = np.empty((samples.size // spec.hop, spec.mels), np.float32)
    for first in range(0, len(mel), _BLOCK):
        frames = _frames(samples, first, min(first + _BLOCK, len(mel)), spec)
        # In double precision: in single, quiet bins would differ from the reference by more than 1e-4.
        spectrum = np.fft.rfft(frames * window, axis=-1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        mel[first : first + _BLOCK] = power.astype(np.float32) @ filters
    log = np.log10(np.maximum(mel, np.float32(1e-10)))
    log = np.maximum(log, log.max() - np.float32(8.0))
    result: Float = (log + np.float32(4.0)) / np.float32(4.0)
    return result


def _frames(samples: Float, first: int, end: int, spec: FeatureSpec) -> Float:
    """Frames `[end - first, n_fft]`, centred on every hop; the samples are mirrored at both ends."""
    margin = spec.n_fft // 2
    begin, stop = first * spec.hop - margin, (end - 1) * spec.hop + margin
    piece = samples[max(begin, 0) : stop]
    if begin < 0 or stop > samples.size:
        piece = np.pad(piece, (max(-begin, 0), max(stop - samples.size, 0)), mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(piece, spec.n_fft)[:: spec.hop]


def speech_bounds(
    samples: Float, spec: FeatureSpec = DEFAULT, margin_ms: int | None = None
) -> tuple[int, int]:
    """First and last sample (exclusive) of samples, float32 `[n]`, without silence at both ends.

    Returns `(0, n)` if no part is louder than the rest.
    """
    size = spec.n_fft
    if samples.size < 2 * size:
        return 0, samples.size
    # Power of 25 ms frames from that of the parts that they share, without a copy of the frames.
    part = math.gcd(size, spec.hop)
    parts = samples[: samples.size // part * part].reshape(-1, part)
    energy = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
    starts = np.arange(0, samples.size - size + 1, spec.hop)
    power = np.convolve(energy, np.ones(size // part), "valid")[starts // part] / size
    loud = np.flatnonzero(power > power.max() * 10.0 ** (-spec.trim_db / 10.0))
    if power.max() <= 0.0 or loud.size == 0:
        return 0, samples.size
    margin = (spec.trim_margin_ms if margin_ms is None else margin_ms) * spec.sample_rate // 1000
    begin = max(0, int(starts[loud[0]]) - margin)
    end = min(samples.size, int(starts[loud[-1]]) + size + margin)
    return begin, end


def trim(samples: Float, spec: FeatureSpec = DEFAULT) -> Float:
    """Remove silence at both ends of samples, float32 `[n]`; returns a view."""
    begin, end = speech_bounds(samples, spec)
    return samples[begin:end]


def windows(samples: Float, spec: FeatureSpec = DEFAULT) -> list[Float]:
    """Split samples, float32 `[n]`, 16 kHz, into windows of 3 s; short speech is one shorter window.

    The last window ends with the speech.
    """
    size, hop = spec.window_samples, spec.hop_frames * spec.hop
    if samples.size <= size:
        return [samples]
    starts = list(range(0, samples.size - size, hop))
    # A last window that repeats nearly all of the previous one would only count it twice.
    if starts[-1] + size < samples.size - hop // 4:
        starts.append(samples.size - size)
    return [samples[start : start + size] for start in starts]


def network_input(samples: Float, spec: FeatureSpec = DEFAULT) -> tuple[Float, Float]:
    """Padded features, float32 `[1, window_frames, mels]`, and mask, float32 `[1, tokens]`, of samples `[n]`.

    An odd last frame is dropped and the padding is zero, as the convolutions pad: so the result does not depend on
    how much padding follows.
    """
    return pad_features(log_mel(samples[: spec.window_samples], spec), spec)


def pad_features(features: Float, spec: FeatureSpec = DEFAULT) -> tuple[Float, Float]:
    """Pad features, float32 `[frames, mels]`, to a window, and make its mask; see `network_input`."""
    valid = features.shape[0] // 2 * 2
    padded = np.zeros((1, spec.window_frames, spec.mels), np.float32)
    padded[0, :valid] = features[:valid]
    mask = np.zeros((1, spec.tokens), np.float32)
    mask[0, : valid // 2] = 1.0
    return padded, mask
