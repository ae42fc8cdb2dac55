"""The interface that microphone and playback have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from edge.audio.segmenter import BLOCK, RATE, Samples
from edge.protocol import MicFormat

BLOCK_S: Final = BLOCK / RATE


@dataclass(frozen=True, slots=True)
class Block:
    """32 ms of sound; never modified."""

    samples: Samples
    """int16, `[512]`, mono, 16 kHz."""
    started: float
    """Monotonic time of its first sample, in seconds (an estimate for a microphone)."""


class SourceLostError(Exception):
    """The source cannot be opened or has disappeared; it may come back. The text is one line with the remedy."""


class SourceEndedError(Exception):
    """The end of a playback that does not loop."""


class AudioSource(Protocol):
    """A source of audio blocks, used by one thread; it can be opened again after it was lost."""

    @property
    def name(self) -> str:
        """Description of the source for users, such as the name of the microphone."""

    @property
    def waits(self) -> bool:
        """Whether sound waits for a slow reader (a file) or is lost (a microphone)."""

    @property
    def overruns(self) -> int:
        """How often sound was lost before it could be read."""

    @property
    def format(self) -> MicFormat | None:
        """Rate and channels before conversion; None for a playback, and before the device was opened."""

    def open(self) -> None:
        """Prepare the source for reading. Raises `SourceLostError`."""

    def read(self, count: int) -> list[Block]:
        """Wait for the next `count` blocks; returns at least one, and fewer or more where that suits the source.

        Several at once need one wake-up of the processor instead of one each. Raises `SourceLostError` or
        `SourceEndedError`.
        """

    def close(self) -> None:
        """Release the device; never raises, and may be called again."""
