"""Recognises blocks in which a microphone delivers no sound, however its samples look.

A stuck converter delivers a constant (not always 0) or flickers by one step; a stuck driver delivers the same block
again and again; an overloaded input delivers little but full scale. `MicrophoneState` decides how long that may last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from edge.audio.segmenter import Samples

Fault = Literal["unchanging", "overloaded"]

FLICKER: Final = 1
"""Steps of int16 between the lowest and the highest sample of a block that count as no change."""
FULL_SCALE: Final = 32_700
"""Absolute value from which a sample counts as clipped."""
MOST_CLIPPED: Final = 0.3
"""Share of clipped samples of a block above which nothing can be understood."""


class SignalCheck:
    """Finds blocks that contain no sound: samples that do not change, or are at full scale.

    Feed the blocks of one source in order. Not thread-safe.
    """

    def __init__(self) -> None:
        self._previous: Samples | None = None

    def faults(self, blocks: Sequence[Samples]) -> list[Fault | None]:
        """Return for each block, int16 `[n]`, why it contains no sound; None where it may.

        At least one block; all are of one length.
        """
        rows = np.stack(blocks)
        found = []
        for row, low, high in zip(rows, rows.min(axis=1).tolist(), rows.max(axis=1).tolist(), strict=True):
            previous, self._previous = self._previous, row
            found.append(_fault(row, low, high, previous))
        return found


def _fault(samples: Samples, low: int, high: int, previous: Samples | None) -> Fault | None:
    """What is wrong with a block of these lowest and highest values, after another one."""
    # One sample tells almost all different blocks apart; this is asked of every block.
    same = previous is not None and samples[0] == previous[0] and np.array_equal(samples, previous)
    if high - low <= FLICKER or same:
        return "unchanging"
    if max(high, -low) < FULL_SCALE:
        return None
    clipped = np.count_nonzero((samples >= FULL_SCALE) | (samples <= -FULL_SCALE))
    return "overloaded" if clipped > MOST_CLIPPED * samples.size else None
