"""The microphone, through PyAudio (PortAudio on ALSA, PulseAudio or PipeWire).

PortAudio looks for devices only when it is initialised, so every `open` is a new one, and every `close` ends it.
A device is read with all its channels and in a sample rate that it has, and converted: PortAudio opens devices with
fewer channels than they have, but delivers the first ones only, whatever they hold. Another thread must watch the time:
after a USB microphone was unplugged, a read may never return.
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

from edge.audio.channels import ChannelChoice, ChannelMixer
from edge.audio.segmenter import BLOCK, RATE
from edge.ear.capture import device_holder
from edge.ear.capture.devices import (
    SYSFS,
    Device,
    NoSuchDeviceError,
    list_devices,
    select_device,
)
from edge.ear.capture.source import BLOCK_S, Block, SourceLostError
from edge.ear.capture.stream_reader import StreamReader
from edge.protocol import MicFormat
from edge.util.errors import UserError

log = logging.getLogger(__name__)

RATES: Final = (16_000, 48_000, 32_000, 44_100, 96_000, 8_000)
CLOSE_LIMIT_S: Final = 10.0
MOST_CHANNELS: Final = 16
"""No microphone has more; what offers more is a plug-in that converts."""
PERIOD_BLOCKS: Final = 4
"""Blocks in a period of the device. PortAudio uses two periods on ALSA, so 256 ms may pass without a read (64 ms, with
one block, were too few for a busy device)."""


def portaudio() -> Any:
    """Import `pyaudio`. Raises `UserError` where it is missing."""
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

    def __init__(
        self,
        wanted: str = "",
        channel: ChannelChoice = "mean",
        sysfs: Path = SYSFS,
        proc: Path = device_holder.PROC,
    ) -> None:
        self._library = portaudio()
        self._wanted = wanted
        self._channel = channel
        self._sysfs = sysfs
        self._proc = proc
        self._system: Any = None
        self._stream: Any = None
        self._reader: StreamReader | None = None
        self._overruns = 0
        self._name = wanted or "default microphone"
        self._given: MicFormat | None = None

    @property
    def name(self) -> str:
        """Name, identity and format of the device."""
        return self._name

    @property
    def format(self) -> MicFormat | None:
        """Rate and channels of the device before conversion; None before it was opened."""
        return self._given

    @property
    def overruns(self) -> int:
        """How often sound was lost before it could be read (see `clock_gaps`)."""
        return self._overruns

    def open(self) -> None:
        """Find and open the device. Raises `SourceLostError`."""
        self.close()
        try:
            self._system = self._library.PyAudio()
            device = select_device(list_devices(self._system, self._sysfs), self._wanted)
            rate, channels = self._best(device)
            mixer = ChannelMixer(channels, self._channel, rate)
            self._stream = self._system.open(
                format=self._library.paInt16,
                channels=channels,
                rate=rate,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=PERIOD_BLOCKS * BLOCK * rate // RATE,
            )
            reader = StreamReader(self._stream, rate, channels, mixer)
        except (NoSuchDeviceError, OSError, ValueError) as error:
            self.close()
            raise SourceLostError(device_holder.explain(_error_text(error), self._proc)) from None
        # In steps and bounds, as everything that leaves this process.
        rounded = 25 * max(40, min(30_720, round(rate / 25)))
        self._given = MicFormat(rate_hz=rounded, channels=min(64, channels), used=str(self._channel))
        self._name = f"{device.name} [{device.identity}], {_format_name(rate, channels, self._channel)}"
        self._reader = reader

    def read(self, count: int) -> list[Block]:
        """Wait for the next blocks. Raises `SourceLostError`."""
        reader = self._reader
        if reader is None:
            raise SourceLostError("the microphone is not open")
        before = reader.overruns
        try:
            rows = reader.read(count)
        except OSError as error:
            raise SourceLostError(_error_text(error)) from None
        self._overruns += reader.overruns - before
        ended = time.monotonic() - reader.waiting_s
        return [Block(row, ended - (len(rows) - at) * BLOCK_S) for at, row in enumerate(rows)]

    def close(self) -> None:
        """Close the stream and terminate PortAudio; ends the process when that does not return."""
        stream, self._stream = self._stream, None
        system, self._system = self._system, None
        self._reader = None
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
        """Choose rate and channels: 16 kHz if the device has it, else its default, else the nearest above."""
        rates = sorted(
            {*RATES, device.rate}, key=lambda rate: (rate != RATE, rate != device.rate, rate < RATE)
        )
        for rate in rates:
            for channels in channel_counts(device.channels):
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
        raise NoSuchDeviceError(f"{device.name} supports no known sample rate; try another device")


def channel_counts(offered: int) -> list[int]:
    """Numbers of channels to try: all that the device has, then fewer.

    A plug-in of ALSA or a sound server offers dozens and converts; two of it show what the device has on each side.
    """
    most = offered if offered <= MOST_CHANNELS else 2
    return sorted({most, 2, 1} - set(range(most + 1, 3)), reverse=True)


def _format_name(rate: int, channels: int, choice: ChannelChoice) -> str:
    """`48000 Hz, 2 channels (mean), converted to 16000 Hz, 1 channel`."""
    count = f"{channels} channel{'s' if channels > 1 else ''}"
    used = "" if channels == 1 else f" ({choice})" if isinstance(choice, str) else f" (number {choice})"
    converted = "" if (rate, channels) == (RATE, 1) else f", converted to {RATE} Hz, 1 channel"
    return f"{rate} Hz, {count}{used}{converted}"


@contextlib.contextmanager
def _process_ends_after(seconds: float) -> Iterator[None]:
    """End the process after so long, even while native code holds the GIL, as closing a stream does."""
    try:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
    except (ValueError, OSError, AttributeError):
        yield  # standard error has no descriptor (a test captures it): the other deadlines remain
        return
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _error_text(error: Exception) -> str:
    """PortAudio's `[Errno -9996] Invalid input device (no default output device)` without the number."""
    text = " ".join(str(part) for part in error.args if not isinstance(part, int))
    return " ".join(text.split()) or type(error).__name__
