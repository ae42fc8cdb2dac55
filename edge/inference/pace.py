"""Compares the speed of an interpreter with plain NumPy arithmetic on the same device.

LiteRT chooses its kernels by /proc/cpuinfo. Where that is hidden (`ProcSubset=pid` of systemd, some containers) it uses
slow ones, 35 to 200 times slower, without a message. Times are CPU times of one thread, so load does not matter.
"""

from __future__ import annotations

import os
import time
from typing import Final

import numpy as np
from msgspec import Struct

ABNORMAL: Final = 25.0
"""Largest usual factor for 3 s of speech: the base model has 2 to 10, with slow kernels 75."""
CPUINFO: Final = "/proc/cpuinfo"
_ROUNDS: Final = 5


class Pace(Struct, frozen=True):
    """The time of an inference relative to arithmetic on the same device."""

    factor: float
    cpuinfo: bool
    """Whether /proc/cpuinfo can be read."""

    @property
    def slow(self) -> bool:
        """Whether classifying takes longer than the speed of this processor explains."""
        return self.factor > ABNORMAL or not self.cpuinfo

    @property
    def why(self) -> str:
        """The cause and the remedy in a clause; empty where it is not slow."""
        if not self.slow:
            return ""
        if not self.cpuinfo:
            return f"{CPUINFO} is hidden, and without it the interpreter uses slow kernels: remove ProcSubset=pid"
        return (
            f"{self.factor:.0f} times the arithmetic of this device, where 2 to 10 are usual: "
            "another version of the interpreter may have better kernels"
        )


def measure(inference_s: float) -> Pace:
    """Compare an inference of so many CPU seconds with the arithmetic of this device, which is measured now."""
    return Pace(round(inference_s / reference_s(), 2), os.access(CPUINFO, os.R_OK))


def reference_s() -> float:
    """Measure the CPU seconds of 0.3 G float32 multiplications on this thread."""
    left, right = np.full((150, 512), 0.5, np.float32), np.full((512, 2048), 0.25, np.float32)
    times = []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(2):
            left @ right
        times.append(time.thread_time() - begun)
    return max(1e-6, sorted(times)[_ROUNDS // 2])
