"""The machine that measures: its name, compiled byte code as in an installation, and what else it does meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

_TICKS: Final = os.sysconf("SC_CLK_TCK")
NEVER_RUN: Final = r"/(test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip|dist-packages|site-packages)/"
"""Parts of the standard library that no measured program imports."""
OTHERS_CORES: Final = 0.1
STOLEN_CORES: Final = 0.02
"""Cores that other programs and the host's other guests may take before a reader has to know."""


def name() -> str:
    """Processor, cores and Python, for the reader of the figures."""
    model = platform.machine()
    # On Intel, `model` is a mere number and `model name` the name; on a Raspberry Pi only `Model` is there.
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line for line in lines if line.startswith(("model name", "Model"))]
    if names:
        model = f"{names[0].partition(':')[2].strip()} ({platform.machine()})"
    # Whether it multiplies bytes by an instruction of its own decides how fast the models are.
    flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    if {"avx512_vnni", "avx_vnni"} & set(flags):
        model += " with VNNI"
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def as_installed() -> None:
    """Compile byte code as an installation has it, and let all programs from here on use it.

    An installation's programs never compile at their start; here they would each time where the caller's
    PYTHONDONTWRITEBYTECODE forbids to keep what was compiled. pip has compiled the libraries, and the first run of each
    program, which is never measured, what of them was not.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # `./run` has set it: no file is left in the checkout.
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(sys.prefix) / "pycache"))
    compiler = [sys.executable, "-m", "compileall", "-q", "-j", "0"]
    folders = [ROOT / "edge", ROOT / "dashboard", ROOT / "provisioning", sysconfig.get_path("stdlib")]
    subprocess.run([*compiler, "-x", NEVER_RUN, *folders], check=True)


class Others:
    """How much of the machine works that are not ours took while something was measured."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._ours = _ended()
        self._busy, self._stolen = _busy()

    def cores(self, ours: float) -> float:
        """Cores that were busy on average, less `ours` (seconds of CPU)."""
        return max(0.0, (sum(_busy()) - self._busy - self._stolen - ours) / (time.monotonic() - self._begin))

    def found(self) -> dict[str, float]:
        """Load, and the cores that other programs and other guests of the host took; ours have to have ended."""
        busy, stolen = _busy()
        seconds = time.monotonic() - self._begin
        others = busy - self._busy - (_ended() - self._ours)
        return {
            "load": round(os.getloadavg()[0], 2),
            "others_cores": round(max(0.0, others / seconds), 3),
            "stolen_cores": round((stolen - self._stolen) / seconds, 3),
        }


def disturbed(found: dict[str, float]) -> str:
    """What of `Others.found` makes figures doubtful, for people; empty where nothing does."""
    said = []
    if found["others_cores"] > OTHERS_CORES:
        said.append(f"other programs took {found['others_cores']:.2f} cores")
    if found["stolen_cores"] > STOLEN_CORES:
        said.append(f"other guests of the host took {found['stolen_cores']:.2f} cores")
    return " and ".join(said)


def _ended() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _busy() -> tuple[float, float]:
    """Seconds of CPU since the machine started: of programs and the kernel, and stolen by other guests of its host."""
    user, nice, system, _idle, _wait, irq, soft, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + soft) / _TICKS, steal / _TICKS
