"""`./run test-armhf`: the small model on a 32-bit Raspberry Pi (Bookworm, tflite-runtime), on an emulated one.

PyPI has no 32-bit wheels of NumPy, msgspec and soxr; a Raspberry Pi gets them from the index of Raspberry Pi OS, which
is not asked here. NumPy is Debian's, a little older; msgspec is compiled from its source; soxr, which only changes
rates, is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.conftest import ROOT, SPEECH
from tests.support.bundles.self_test import SELF_TEST
from tests.support.machines.arm import (
    MARKS,
    PROBE,
    Pi,
    need,
    own_wheel,
    same_answer,
    unpacked,
)

pytestmark = MARKS

EMULATOR = ("qemu-arm-static", "-cpu", "cortex-a7")
"""The processor of a Raspberry Pi 2, the oldest one that a wheel of ARMv7 runs on."""
CPUINFO = (
    "processor\t: 0\nmodel name\t: ARMv7 Processor rev 5 (v7l)\n"
    "Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm\n"
    "CPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x0\nCPU part\t: 0xc07\nCPU revision\t: 5\n\n"
    "Hardware\t: BCM2835\nRevision\t: a01041\nModel\t\t: Raspberry Pi 2 Model B Rev 1.1\n"
)
"""What its kernel says of it."""
COMPILER = "arm-linux-gnueabihf-gcc"
LIBRARIES = "usr/lib/arm-linux-gnueabihf"
PACKAGES = ("python3-numpy", "python3-cffi-backend", "libsndfile1", "libpython3.11-dev")
PURE = ("paho-mqtt>=2.2", "soundfile>=0.12", "python-ulid>=3.0", "typing_extensions")
SMALL = next(ROOT.glob("models/small-*"))


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Pi:
    need(EMULATOR[0], COMPILER)
    folder = tmp_path_factory.mktemp("armhf")
    root, site, wheels = unpacked("armhf", *PACKAGES), folder / "site", folder / "wheels"
    for name in ("blas", "lapack"):
        # Packages that are unpacked and not set up have not chosen their alternatives.
        link = root / LIBRARIES / f"lib{name}.so.3"
        if not link.exists():
            link.symlink_to(f"{name}/lib{name}.so.3")
    pi = Pi(root, EMULATOR, CPUINFO, site)
    assert pi.python("-c", PROBE).split() == ["armv7l", "True"]
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels)]
    binary = ["--only-binary=:all:", "--python-version=3.11"]
    subprocess.run(
        [*fetch, *binary, "--platform=manylinux_2_34_armv7l", "tflite-runtime==2.14.0"], check=True
    )
    subprocess.run([*fetch, *binary, "--platform=any", *PURE], check=True)
    subprocess.run([*fetch, "--no-binary=:all:", "msgspec"], check=True)
    own_wheel(wheels)
    for wheel in wheels.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    for source in wheels.glob("*.tar.gz"):
        with tarfile.open(source) as tar:
            tar.extractall(folder / "sources", filter="data")
    (msgspec,) = folder.glob("sources/msgspec-*/src/msgspec")
    shutil.copytree(msgspec, site / "msgspec")
    include = [
        f"-I{root}/usr/include{more}" for more in ("", "/python3.11", "/arm-linux-gnueabihf/python3.11")
    ]
    made = site / "msgspec/_core.cpython-311-arm-linux-gnueabihf.so"
    subprocess.run(
        [COMPILER, "-O2", "-w", "-shared", "-fPIC", *include, site / "msgspec/_core.c", "-o", made],
        check=True,
    )
    return pi


def test_the_golden_outputs_are_met_with_reference_and_with_default_kernels(pi: Pi) -> None:
    assert "tflite-runtime 2.14" in pi.python("-c", SELF_TEST, SMALL)


def test_a_recording_is_classified_as_on_this_machine(pi: Pi) -> None:
    # By another interpreter's kernels for int8.
    same_answer(pi, SMALL, 0.05)


def test_the_base_model_is_refused_in_words(pi: Pi) -> None:
    """It needs LiteRT, which 32-bit Arm has not."""
    base = next(ROOT.glob("models/base-*"))
    with pytest.raises(AssertionError, match="cannot load this model"):
        pi.python("-m", "edge.cli.main", "classify", SPEECH / "goforward.raw", "--json", "--bundle", base)
