"""From counted instructions to milliseconds: a range, because a count does not say how many fit into a cycle.

A processor can take up to `width` instructions in a cycle; the range is for 0.3 to 0.7 of it. These two were settled
after a first measurement on an AMD Zen 3 (0.41 to 0.65), so the check of `./run bench arm` there is no independent
proof, and nothing measured on Arm supports them yet. docs/performance.md says what is known.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARE_OF_WIDTH: Final = (0.3, 0.7)
"""Instructions per cycle as a share of the processor's width: the least and the most."""
SHARE_IN_SILENCE: Final = (0.15, 0.7)
"""The same for an ear in silence, which wakes up with cold caches: settled after 0.20 was measured on an AMD Zen 3 with
much other work beside it."""


@dataclass(frozen=True)
class Processor:
    """Clock in GHz, and instructions that it can take in a cycle."""

    name: str
    ghz: float
    width: int

    def milliseconds(
        self, instructions: float, shares: tuple[float, float] = SHARE_OF_WIDTH
    ) -> tuple[float, float]:
        """The shortest and the longest time that this many instructions take."""
        least, most = shares
        cycles_per_ms = self.ghz * 1e6
        return instructions / (most * self.width) / cycles_per_ms, instructions / (
            least * self.width
        ) / cycles_per_ms

    def share_of_width(self, instructions: float, milliseconds: float) -> float:
        """What a measured time says: instructions per cycle as a share of the width."""
        return instructions / (milliseconds * self.ghz * 1e6) / self.width


PI_4: Final = Processor("Raspberry Pi 4 (Cortex-A72)", 1.8, 3)
PI_5: Final = Processor("Raspberry Pi 5 (Cortex-A76)", 2.4, 4)
"""Decode widths; that of the A76 was not looked up in its guide."""
ZEN_3_WIDTH: Final = 6
"""Instructions that AMD's Zen 3 (family 25) dispatches in a cycle; of x86 processors only its check has been made."""


def measured_ghz(folder: Path) -> float:
    """The clock at which a core here really runs: by a chain of multiplications of three cycles each (x86-64)."""
    program = folder / "clock"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    return float(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
