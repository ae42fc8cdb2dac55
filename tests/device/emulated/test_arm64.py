"""`./run test-arm64`: what a 64-bit Raspberry Pi installs and computes, on an emulated one (qemu-user).

A Debian 12 of that architecture is unpacked, not booted: wheels are installed into it by its own Python and pip, and
the wheel of this checkout with them. Times say nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT
from tests.support.machines.arm import (
    MARKS,
    PROBE,
    Pi,
    need,
    own_wheel,
    same_answer,
    unpacked,
)
from tests.support.self_test import SELF_TEST

pytestmark = MARKS

EMULATOR = ("qemu-aarch64-static", "-cpu", "cortex-a72")
"""The processor of a Raspberry Pi 4."""
CPUINFO = (
    "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
    "CPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    "Revision\t: c03112\nModel\t\t: Raspberry Pi 4 Model B Rev 1.2\n"
)
"""What its kernel says of it."""
PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
BUNDLES = sorted(file.parent.name for file in (ROOT / "models").glob("*/manifest.json"))


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Pi:
    need(EMULATOR[0])
    folder = tmp_path_factory.mktemp("arm64")
    pi = Pi(unpacked("arm64", "python3-pip-whl"), EMULATOR, CPUINFO, folder / "site")
    assert pi.python("-c", PROBE).split() == ["aarch64", "True"]
    wheels = folder / "wheels"
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*parts["dependencies"], *parts["optional-dependencies"]["edge"]]
    # PyAudio has no wheels: it comes from Debian, as in install.sh.
    wanted = [one for one in wanted if not one.startswith("PyAudio")]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "-d", wheels, "--only-binary=:all:", "--python-version=3.11",
         *(f"--platform={one}" for one in PLATFORMS), *wanted],
        check=True,
    )  # fmt: skip
    own_wheel(wheels)
    wanted.append("roomtone")
    (pip,) = (pi.root / "usr/share/python-wheels").glob("pip-*.whl")
    offline = ("--no-index", "--find-links", wheels, "--target", folder / "site")
    pi.python(f"{pip}/pip", "install", "-q", *offline, *wanted)
    return pi


def test_every_library_of_the_ear_and_the_link_loads(pi: Pi) -> None:
    pi.python("-c", "import ai_edge_litert, msgspec, numpy, paho.mqtt.client, pyaudio, soundfile, soxr, ulid")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_golden_outputs_are_met_with_reference_and_with_default_kernels(pi: Pi, bundle: str) -> None:
    assert "litert" in pi.python("-c", SELF_TEST, ROOT / "models" / bundle)


def test_a_recording_is_classified_as_on_this_machine(pi: Pi) -> None:
    same_answer(pi, next(ROOT.glob("models/base-*")), 0.02)
