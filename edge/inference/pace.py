"""Whether an interpreter is as fast as the box it runs on, told from a yardstick: plain arithmetic in NumPy.

LiteRT picks its kernels by what it reads in /proc/cpuinfo. Where that is hidden (`ProcSubset=pid` of systemd, some
containers) it takes slow ones, 35 to 200 times slower, and says nothing. Times are CPU times of one thread: a busy box
is not a slow interpreter.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Final

import numpy as np
from msgspec import Struct

ABNORMAL: Final = 25.0
"""Yardsticks that an inference of 3 s of speech may take: the base model takes 2 to 10, with slow kernels 75."""
CPUINFO: Final = "/proc/cpuinfo"
_ROUNDS: Final = 5


class Pace(Struct, frozen=True):
    """How long an inference takes, in yardsticks of the same box."""

    factor: float
    cpuinfo: bool
    """Whether /proc/cpuinfo can be read."""

    @property
    def slow(self) -> bool:
        """Whether something is wrong with the interpreter, not with the box."""
        return self.factor > ABNORMAL or not self.cpuinfo

    @property
    def why(self) -> str:
        """The cause and the remedy in a clause; empty when all is well."""
        if not self.slow:
            return ""
        if not self.cpuinfo:
            return (
                f"{CPUINFO} is hidden, and without it the interpreter takes slow kernels: no ProcSubset=pid"
            )
        return (
            f"{self.factor:.0f} times the arithmetic of this box, where 2 to 10 are usual: "
            "another version of the interpreter may have better kernels"
        )


def measure(inference_s: float) -> Pace:
    """The pace of an inference that took so many seconds of CPU time. Takes a moment itself."""
    return Pace(round(inference_s / yardstick_s(), 2), os.access(CPUINFO, os.R_OK))


def yardstick_s() -> float:
    """CPU seconds of a fixed piece of arithmetic, 0.3 G multiplications in float32, on this thread."""
    left, right = np.full((150, 512), 0.5, np.float32), np.full((512, 2048), 0.25, np.float32)
    times = []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(2):
            left @ right
        times.append(time.thread_time() - begun)
    return max(1e-6, statistics.median(times))
