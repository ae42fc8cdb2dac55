"""The microphone, through PyAudio (PortAudio on ALSA, PulseAudio or PipeWire).

PortAudio looks for devices only when it is initialised, so every `open` is a new one, and every `close` ends it.
A device that cannot do 16 kHz mono is read as it can and converted. Whoever reads must watch the clock from another
thread: after a USB microphone was pulled out, a read may never return.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.ear.capture import device_holder
from edge.ear.capture.clock_gaps import Gaps
from edge.ear.capture.devices import (
    SYSFS,
    Device,
    NoSuchDeviceError,
    choose,
    listen,
)
from edge.ear.capture.source import BLOCK_S, Block, SourceLostError
from edge.protocol.messages import MicFormat
from edge.util.errors import UserError

log = logging.getLogger(__name__)

RATES: Final = (16_000, 48_000, 32_000, 44_100, 96_000, 8_000)
CLOSE_LIMIT_S: Final = 10.0
PERIOD_BLOCKS: Final = 4
"""Blocks in a period of the device. PortAudio takes two on ALSA: 256 ms may pass without a read (with one block, 64 ms
were too few for a box that is busy)."""


def portaudio() -> Any:
    """The module `pyaudio`. Raises `UserError` where it is missing."""
    try:
        import pyaudio
    except ImportError as error:
        raise UserError(
            f"a microphone needs PyAudio ({error}): apt install portaudio19-dev, then pip install PyAudio"
        ) from None
    return pyaudio


class MicrophoneSource:
    """Blocks from the device that `wanted` names (see `devices.choose`)."""

    waits = False

    def __init__(self, wanted: str = "", sysfs: Path = SYSFS, proc: Path = device_holder.PROC) -> None:
        self._library = portaudio()
        self._wanted = wanted
        self._sysfs = sysfs
        self._proc = proc
        self._system: Any = None
        self._stream: Any = None
        self._blocks: Iterator[Samples] | None = None
        self._overruns = 0
        self._waiting_s = 0.0
        self._name = wanted or "default microphone"
        self._given: MicFormat | None = None

    @property
    def name(self) -> str:
        """Name, identity and format of the device."""
        return self._name

    @property
    def format(self) -> MicFormat | None:
        """Rate and channels of the device, before they are converted; None before it was opened."""
        return self._given

    @property
    def overruns(self) -> int:
        """How often sound was lost before it could be read (see `gaps`)."""
        return self._overruns

    def open(self) -> None:
        """Finds and opens the device. Raises `SourceLostError`."""
        self.close()
        try:
            self._system = self._library.PyAudio()
            device = choose(listen(self._system, self._sysfs), self._wanted)
            rate, channels = self._best(device)
            self._stream = self._system.open(
                format=self._library.paInt16,
                channels=channels,
                rate=rate,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=PERIOD_BLOCKS * BLOCK * rate // RATE,
            )
        except (NoSuchDeviceError, OSError, ValueError) as error:
            self.close()
            raise SourceLostError(device_holder.explain(_words(error), self._proc)) from None
        self._given = MicFormat(rate_hz=rate, channels=channels)
        converted = "" if (rate, channels) == (RATE, 1) else f", converted to {RATE} Hz, 1 channel"
        self._name = f"{device.name} [{device.identity}], {rate} Hz, {channels} channel(s){converted}"
        self._blocks = self._convert(rate, channels)

    def read(self) -> Block:
        """The next block. Raises `SourceLostError`."""
        if self._blocks is None:
            raise SourceLostError("the microphone is not open")
        try:
            samples = next(self._blocks)
        except OSError as error:
            raise SourceLostError(_words(error)) from None
        return Block(samples, time.monotonic() - self._waiting_s - BLOCK_S)

    def close(self) -> None:
        """Closes the stream and ends PortAudio; if that hangs, ends the process."""
        stream, self._stream = self._stream, None
        system, self._system = self._system, None
        self._blocks = None
        if stream is None and system is None:
            return
        with _process_ends_after(CLOSE_LIMIT_S):
            if stream is not None:
                # Not `stop_stream`: that would wait for a dead device.
                with contextlib.suppress(OSError):
                    stream.close()
            if system is not None:
                with contextlib.suppress(OSError):
                    system.terminate()

    def _best(self, device: Device) -> tuple[int, int]:
        """Rate and channels: ours if the device can, else the nearest above."""
        rates = sorted(
            {*RATES, device.rate}, key=lambda rate: (rate != RATE, rate != device.rate, rate < RATE)
        )
        for rate in rates:
            for channels in (1, 2):
                if channels > device.channels:
                    continue
                try:
                    if self._system.is_format_supported(
                        rate,
                        input_device=device.index,
                        input_channels=channels,
                        input_format=self._library.paInt16,
                    ):
                        return rate, channels
                except ValueError:
                    continue
        raise NoSuchDeviceError(f"{device.name} records in no format that is known here; try another device")

    def _convert(self, rate: int, channels: int) -> Iterator[Samples]:
        """Reads for ever, as blocks of our format."""
        resampler = _resampler(rate)
        size = BLOCK * rate // RATE
        rest = np.zeros(0, np.int16)
        gaps = Gaps(time.monotonic())
        while True:
            # With the exception, PyAudio would close the stream: a box that was busy for a moment would lose its ear.
            raw = np.frombuffer(self._stream.read(size, exception_on_overflow=False), np.int16)
            # A period comes at once: what waits behind this block is younger.
            self._waiting_s = max(0, self._stream.get_read_available()) / rate
            self._overruns += gaps.heard(size / rate, time.monotonic())
            if gaps.impossible:
                raise OSError("the device gives sound faster than time passes; it was probably unplugged")
            if channels == 1 and resampler is None and raw.size == BLOCK:
                yield raw
                continue
            mono = raw.reshape(-1, channels).mean(axis=1)
            if resampler is not None:
                mono = resampler.resample_chunk(mono.astype(np.float32))
            part = np.clip(np.rint(mono), -32768, 32767).astype(np.int16)
            rest = np.concatenate((rest, part))
            whole = rest.size // BLOCK * BLOCK
            yield from rest[:whole].reshape(-1, BLOCK)
            rest = rest[whole:]


def _resampler(rate: int) -> Any:
    if rate == RATE:
        return None
    try:
        import soxr
    except ImportError:
        raise OSError(f"the device gives {rate} Hz, and changing that needs soxr: pip install soxr") from None
    return soxr.ResampleStream(rate, RATE, 1, dtype="float32")


@contextlib.contextmanager
def _process_ends_after(seconds: float) -> Iterator[None]:
    """A deadline that holds even where native code keeps Python's lock, as closing a stream does."""
    try:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
    except (ValueError, OSError, AttributeError):
        yield  # standard error has no descriptor (a test captures it): the other deadlines remain
        return
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _words(error: Exception) -> str:
    """PortAudio's `[Errno -9996] Invalid input device (no default output device)` without the number."""
    text = " ".join(str(part) for part in error.args if not isinstance(part, int))
    return " ".join(text.split()) or type(error).__name__
