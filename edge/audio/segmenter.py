"""Splits audio into utterances by speech probability: a state machine, one step for each block of 32 ms.

An utterance begins with the first block that reaches `vad.onset` and ends when the blocks of `segmenter.hang_over_ms`
stay below `vad.offset` (two thresholds, so that a varying voice is not split). No block belongs to two utterances. At
the beginning of the sound the pre-roll is shorter, not filled with zeros.
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
"""Sample rate on the device, in Hz."""
BLOCK: Final = 512
"""Samples of a block, one frame of the voice activity detector: 32 ms."""
BLOCK_MS: Final = 1000 * BLOCK / RATE

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech between two silences: its samples, and where the speech is in them."""

    samples: Samples
    """int16 `[n]`, 16 kHz: the pre-roll, the speech, and as much of the hang-over as the pre-roll is long."""
    speech: slice
    """The speech within `samples`, from the onset to the last block of speech."""
    first_block: int
    """Index of the block with the onset, from 0 since the segmenter was created."""
    cut: bool
    """Whether it was ended by `segmenter.max_speech_ms` and the speech continues in the next utterance."""

    @property
    def duration_ms(self) -> int:
        """Length of the speech in ms, without pre-roll and hang-over."""
        return int(1000 * (self.speech.stop - self.speech.start) / RATE)


def blocks_of(milliseconds: int) -> int:
    """The number of blocks nearest to a length in ms."""
    return round(milliseconds / BLOCK_MS)


class Segmenter:
    """Cuts a stream of blocks into utterances by their speech probabilities. Not thread-safe."""

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
        self._clear()

    def _clear(self) -> None:
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
        """Add a block, int16 `[512]`, and its speech probability; returns the utterance that ends with it, if any.

        The block is stored without a copy: the caller must not modify it.
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
        """End an open utterance, as at the end of a file, and drop the pre-roll."""
        ended = self._end(cut=False) if self._blocks else []
        self._past.clear()
        return ended

    def reset(self) -> None:
        """Drop an open utterance and the pre-roll; the index of blocks goes on."""
        self._clear()
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
        # The unused part of the hang-over is the pre-roll of speech that follows at once.
        self._past.extend(blocks[stop + tail :])
        self._clear()
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
