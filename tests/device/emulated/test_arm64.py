"""`./run test-arm64`: what a 64-bit Raspberry Pi installs and computes, on an emulated one (qemu-user).

A Debian 12 of that architecture is unpacked, not booted: wheels are installed into it by its own Python and pip, and
the wheel of this checkout with them. Times say nothing.
"""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.support.bundles.self_test import SELF_TEST
from tests.support.machines.arm import (
    MARKS,
    PROBE,
    Pi,
    need,
    same_answer,
    unpacked,
)
from tests.support.machines.raspberry_pi import PI_4, download_wheels

pytestmark = MARKS

EMULATOR = ("qemu-aarch64-static", "-cpu", PI_4.processor)
BUNDLES = sorted(file.parent.name for file in (ROOT / "models").glob("*/manifest.json"))


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Pi:
    need(EMULATOR[0])
    folder = tmp_path_factory.mktemp("arm64")
    pi = Pi(unpacked("arm64", "python3-pip-whl"), EMULATOR, PI_4.cpuinfo, folder / "site")
    assert pi.python("-c", PROBE).split() == ["aarch64", "True"]
    wheels = folder / "wheels"
    wanted = download_wheels(wheels)
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
