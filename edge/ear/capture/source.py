"""Where sound comes from: the one interface of microphone and playback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.protocol.messages import MicFormat

BLOCK_S: Final = BLOCK / RATE


@dataclass(frozen=True, slots=True)
class Block:
    """32 ms of sound; nobody writes to it after it was made."""

    samples: Samples
    """int16, `[512]`, mono, 16 kHz."""
    started: float
    """Monotonic time of its first sample, in seconds (an estimate for a microphone)."""


class SourceLostError(Exception):
    """The source cannot be opened or has gone; it may come back. The text is one line: what and the remedy."""


class SourceEndedError(Exception):
    """There is no more sound, and there never will be: the end of a playback that does not loop."""


class AudioSource(Protocol):
    """Opened, read and closed by one thread; opened again after it was lost."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def waits(self) -> bool:
        """Whether sound waits for a slow reader (a file) or goes by (a microphone)."""

    @property
    def overruns(self) -> int:
        """How often the system told that sound was lost before it could be read."""

    @property
    def format(self) -> MicFormat | None:
        """What the device gives before it is converted; None for what is no device, and before it was opened."""

    def open(self) -> None:
        """Makes it ready to be read. Raises `SourceLostError`."""

    def read(self) -> Block:
        """Waits for the next block. Raises `SourceLostError` or `SourceEndedError`."""

    def close(self) -> None:
        """Gives everything back to the system; never raises, twice does no harm."""
