"""From speech probabilities to utterances: a pure state machine, one step for each block of 32 ms.

Silent until one block reaches `vad.onset`; speaking until `segmenter.hang_over_ms` of blocks in a row stay below
`vad.offset` (two thresholds, so that a wavering voice does not tear). No block is ever part of two utterances,
and nothing but recorded blocks is: where there is no past yet, the pre-roll is shorter, not filled with zeros.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.config.settings import Config

RATE: Final = 16_000
"""Samples a second, everywhere on the device."""
BLOCK: Final = 512
"""Samples of one block, which is one frame of the voice activity detector: 32 ms."""
BLOCK_MS: Final = 1000 * BLOCK / RATE

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech."""

    samples: Samples
    """int16, shape `[n]`: up to the pre-roll before the speech, the speech, and as much again of the hang-over."""
    speech: slice
    """Where in `samples` the speech is, from the onset to the last block of speech."""
    first_block: int
    """Number of the block with the onset, counted from 0 since the segmenter was made."""
    cut: bool
    """Whether it was ended by `segmenter.max_speech_ms` and the speech goes on in the next utterance."""

    @property
    def duration_ms(self) -> int:
        """Length of the speech, without pre-roll and hang-over."""
        return int(1000 * (self.speech.stop - self.speech.start) / RATE)


def blocks_of(milliseconds: int) -> int:
    """The number of blocks nearest to a length."""
    return round(milliseconds / BLOCK_MS)


class Segmenter:
    """The state machine. Not thread-safe: it belongs to the thread that pushes."""

    def __init__(self, config: Config) -> None:
        self._onset = config.vad.onset
        self._offset = config.vad.offset
        limits = config.segmenter
        self._min = max(1, blocks_of(limits.min_speech_ms))
        self._max = max(self._min + 1, blocks_of(limits.max_speech_ms))
        self._hang_over = max(1, blocks_of(limits.hang_over_ms))
        self._roll = blocks_of(limits.pre_roll_ms)
        self._past: deque[Samples] = deque(maxlen=self._roll)
        self._count = 0
        self._quiet()

    def _quiet(self) -> None:
        self._blocks: list[Samples] = []
        self._lead = 0  # blocks of pre-roll at the head of `_blocks`
        self._voiced = 0
        self._silent = 0  # blocks below the offset at the tail of `_blocks`
        self._first = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return bool(self._blocks)

    def push(self, block: Samples, probability: float) -> list[Utterance]:
        """One step: int16 `[512]` and its speech probability; returns what has ended with it (none or one).

        The block is kept without copying it: the caller must not write to it again.
        """
        ended: list[Utterance] = []
        if not self._blocks:
            if probability < self._onset:
                self._past.append(block)
            else:
                self._start(block)
        else:
            self._blocks.append(block)
            if probability >= self._offset:
                self._voiced += 1
                self._silent = 0
            else:
                self._silent += 1
            if self._silent >= self._hang_over:
                ended = self._end(cut=False)
            elif len(self._blocks) - self._lead >= self._max:
                ended = self._end(cut=self._silent == 0)
        self._count += 1
        return ended

    def flush(self) -> list[Utterance]:
        """Ends an open utterance, as after the last block of a file, and forgets the past."""
        ended = self._end(cut=False) if self._blocks else []
        self._past.clear()
        return ended

    def reset(self) -> None:
        """Forgets everything but the count, as after a gap in the sound."""
        self._quiet()
        self._past.clear()

    def _start(self, block: Samples) -> None:
        self._lead = len(self._past)
        self._blocks = [*self._past, block]
        self._past.clear()
        self._first = self._count
        self._voiced = 1
        self._silent = 0

    def _end(self, *, cut: bool) -> list[Utterance]:
        blocks, lead, first = self._blocks, self._lead, self._first
        stop = len(blocks) - self._silent
        tail = min(self._silent, self._roll)
        long_enough = self._voiced >= self._min
        # What nobody has used of the hang-over is the pre-roll of an answer that comes at once.
        self._past.extend(blocks[stop + tail :])
        self._quiet()
        if not long_enough:
            return []
        return [
            Utterance(
                samples=_join(blocks[: stop + tail]),
                speech=slice(lead * BLOCK, stop * BLOCK),
                first_block=first,
                cut=cut,
            )
        ]


def _join(blocks: Sequence[Samples]) -> Samples:
    return np.concatenate(blocks)
