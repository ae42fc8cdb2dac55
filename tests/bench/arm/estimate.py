"""From counted instructions to milliseconds: a range, because a count does not say how many fit into a cycle.

A processor can take up to `width` instructions in a cycle. What is counted here (dense kernels with few branches, and
an interpreter around them) reaches 0.3 to 0.7 of it: below, it would wait for memory, which weights of a few megabytes
that are read in order do not make it do; above, hardly any program comes, as loads, multiplications and additions do
not spread evenly over the units. `./run bench arm` checks the same two numbers on the machine that it runs on.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARE_OF_WIDTH: Final = (0.3, 0.7)
"""Instructions per cycle as a share of the processor's width: the least and the most."""
SHARE_IN_SILENCE: Final = (0.07, 0.7)
"""The same for an ear in silence: it wakes up a few times a second and finds the caches filled by others. The least is
what a server with much other work beside it showed; a Pi that does nothing else should do better."""


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
"""Decode widths: Arm's Software Optimization Guides of the two processors."""
ZEN_3_WIDTH: Final = 6
"""Instructions that AMD's Zen 3 (family 25) dispatches in a cycle; of x86 processors only its check has been made."""


def measured_ghz(folder: Path) -> float:
    """The clock at which a core here really runs: by a chain of multiplications of three cycles each (x86-64)."""
    program = folder / "clock"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    return float(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
