"""64-bit Raspberry Pis, emulated: processors, what their kernels say of them, and the wheels that they install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.support.machines.arm import own_wheel

PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi: QEMU's name of its processor, and its /proc/cpuinfo, by which libraries choose their kernels."""

    processor: str
    cpuinfo: str


PI_4 = Board(
    "cortex-a72",
    "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
    "CPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    "Revision\t: c03112\nModel\t\t: Raspberry Pi 4 Model B Rev 1.2\n",
)
PI_5 = Board(
    "cortex-a76",
    "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
    "dcpop asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
    "CPU variant\t: 0x4\nCPU part\t: 0xd0b\nCPU revision\t: 1\n\n"
    "Revision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
)


def download_wheels(folder: Path) -> list[str]:
    """Fetch the wheels that a 64-bit Pi installs, with this checkout's own; returns the names for pip."""
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*parts["dependencies"], *parts["optional-dependencies"]["edge"]]
    # PyAudio has no wheels: it comes from Debian, as in install.sh.
    wanted = [one for one in wanted if not one.startswith("PyAudio")]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "-d", folder, "--only-binary=:all:", "--python-version=3.11",
         *(f"--platform={one}" for one in PLATFORMS), *wanted],
        check=True, stdout=sys.stderr,
    )  # fmt: skip
    own_wheel(folder)
    return [*wanted, "roomtone"]


def install_from_here(wheels: Path, wanted: list[str], site: Path) -> None:
    """Unpack wheels for a Pi by this machine's pip: seconds, where the emulated one needs minutes."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", wheels, "--target", site,
         "--only-binary=:all:", "--python-version=3.11", *(f"--platform={one}" for one in PLATFORMS), *wanted],
        check=True, stdout=sys.stderr,
    )  # fmt: skip
