"""Warns once where the model runs slower than the arithmetic of this device explains (see `edge.inference.pace`)."""

from __future__ import annotations

import logging
import os
import time
from typing import Final

from edge.inference import pace
from edge.inference.classifier import Classifier

log = logging.getLogger(__name__)

SLOW_S: Final = 0.05
"""CPU seconds of an inference above which its speed is compared with the arithmetic of this device."""


def timed_self_test(classifier: Classifier, turn: int | None = None) -> float:
    """Run the self-test, or one input of it; returns the CPU seconds of one inference.

    See `Classifier.self_test`. Raises `UserError` when the outputs differ.
    """
    begun = time.thread_time()
    inferences = classifier.self_test(turn)
    return (time.thread_time() - begun) / inferences


class SpeedCheck:
    """Compares the first inference that is slow with plain arithmetic. Not thread-safe."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._checked = False

    def add(self, seconds: float) -> None:
        """Note the CPU seconds of an inference, as of a self-test."""
        self._seconds = seconds

    def run(self) -> None:
        """Compare where that is due: it takes a tenth of a second, so call it when there is nothing to hear."""
        seconds, self._seconds = self._seconds, 0.0
        if self._checked or not seconds or (seconds <= SLOW_S and os.access(pace.CPUINFO, os.R_OK)):
            return
        self._checked = True
        found = pace.measure(seconds)
        if found.slow:
            log.warning("[slow] the self-test takes %.2f s of CPU time per inference: %s", seconds, found.why)
