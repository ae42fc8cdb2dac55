"""Reads an open stream of PortAudio, and converts its rate and channels to blocks of 16 kHz, mono."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge.audio.channels import ChannelMixer, Frames
from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.ear.capture.clock_gaps import GapDetector


class StreamReader:
    """Blocks of a stream that was just opened with this rate in Hz and number of channels. Not thread-safe.

    Raises `OSError` where the rate cannot be converted.
    """

    def __init__(self, stream: Any, rate: int, channels: int, mixer: ChannelMixer) -> None:
        self._stream = stream
        self._rate = rate
        self._channels = channels
        self._mixer = mixer
        self._resampler = _resampler(rate)
        self._rest = np.zeros(0, np.int16)
        self._gaps = GapDetector(time.monotonic())
        self.overruns = 0
        """How often sound was lost before it could be read."""
        self.waiting_s = 0.0
        """Seconds of sound that the device still held after the last read."""

    def read(self, count: int) -> list[Samples]:
        """Wait for the sound of `count` blocks; returns blocks, int16 `[512]`, of which a conversion may hold one back.

        Raises `OSError` where the device is gone.
        """
        rows: list[Samples] = []
        while not rows:
            rows = self._read(count)
        return rows

    def _read(self, count: int) -> list[Samples]:
        size = BLOCK * self._rate // RATE
        # With the exception PyAudio would close the stream whenever the device was busy for a moment.
        raw = np.frombuffer(self._stream.read(count * size, exception_on_overflow=False), np.int16)
        if raw.size != count * size * self._channels:
            raise OSError("the device delivered less sound than it was asked for; it was probably unplugged")
        # A period arrives at once: the sound that is still buffered is younger than this block.
        self.waiting_s = max(0, self._stream.get_read_available()) / self._rate
        self.overruns += self._gaps.add_read(count * size / self._rate, time.monotonic())
        if self._gaps.too_fast:
            raise OSError("the device delivers sound faster than real time; it was probably unplugged")
        if self._channels == 1 and self._resampler is None:
            return list(raw.reshape(-1, BLOCK))
        frames = raw.reshape(-1, self._channels).astype(np.float32)
        # In the same parts however much was read: what the mixer and the resampler give depends on them.
        parts = [self._convert(frames[at : at + size]) for at in range(0, len(frames), size)]
        sound = np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)
        pending = np.concatenate((self._rest, sound))
        whole = pending.size // BLOCK * BLOCK
        self._rest = pending[whole:]
        return list(pending[:whole].reshape(-1, BLOCK))

    def _convert(self, frames: Frames) -> Frames:
        """Mix and resample frames, float32 `[n, channels]`, to float32 `[m]`; int16 is their full scale."""
        mono = self._mixer.mix(frames)
        if self._resampler is None:
            return mono
        resampled: Frames = self._resampler.resample_chunk(mono)
        return resampled


def _resampler(rate: int) -> Any:
    if rate == RATE:
        return None
    try:
        import soxr
    except ImportError:
        raise OSError(f"the device gives {rate} Hz, and changing that needs soxr: pip install soxr") from None
    return soxr.ResampleStream(rate, RATE, 1, dtype="float32")
