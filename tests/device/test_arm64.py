"""`./run test-arm64`: what a 64-bit Raspberry Pi installs and computes, on an emulated one (qemu-user).

A Debian 12 of that architecture is unpacked, not booted: wheels are installed into it by its own Python and pip, and
the wheel of this checkout with them. Times say nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT, SPEECH
from tests.device import container as containers
from tests.unit.training.test_runtimes import SELF_TEST

pytestmark = [
    pytest.mark.skipif(os.environ.get("ROOMTONE_ARM64") != "1", reason="minutes, emulated: ./run test-arm64"),
    pytest.mark.timeout(2400),
]

EMULATOR = "qemu-aarch64-static"
CPU = "cortex-a72"
"""That of a Raspberry Pi 4."""
EMULATED = "ai-edge-litert==2.1.3"
"""What computes here. LiteRT 2.3, which is installed on a device, crashes in its constructor under qemu-user 7.2."""
PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
BUNDLES = sorted(file.parent.name for file in (ROOT / "models").glob("*/manifest.json"))
PROBE = "import platform, sys; print(platform.machine(), sys.version_info[:2] == (3, 11))"


class Pi:
    """The unpacked system, and how a program of it is run."""

    def __init__(self, root: Path, site: Path, first: Path | None = None) -> None:
        self.root = root
        self.site = site
        self.path = [*([first] if first else []), site, root / "usr/lib/python3/dist-packages"]

    def python(self, *arguments: str | Path, timeout_s: float = 1200) -> str:
        environment = {
            "PYTHONPATH": ":".join(map(str, self.path)),
            "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin", "HOME": str(self.site), "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        done = subprocess.run(
            [EMULATOR, "-cpu", CPU, "-L", self.root, self.root / "usr/bin/python3.11", *arguments],
            env=environment, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Pi:
    for tool in (EMULATOR, "debootstrap"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.fail(f"{tool} is missing: ./run test-arm64 installs it")
    folder = tmp_path_factory.mktemp("arm64")
    pi = Pi(unpacked(), folder / "site")
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
    # Its own wheel, too: without it there are no sub-commands.
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, ROOT], check=True)
    wanted.append("roomtone")
    (pip,) = (pi.root / "usr/share/python-wheels").glob("pip-*.whl")
    pi.python(
        f"{pip}/pip", "install", "-q", "--no-index", "--find-links", wheels, "--target", pi.site, *wanted
    )
    return pi


@pytest.fixture(scope="module")
def computing(pi: Pi, tmp_path_factory: pytest.TempPathFactory) -> Pi:
    """The same with the interpreter that the emulator bears."""
    folder = tmp_path_factory.mktemp("litert")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", folder, "--no-deps", "--only-binary=:all:",
         "--python-version=3.11", *(f"--platform={one}" for one in PLATFORMS), EMULATED],
        check=True,
    )  # fmt: skip
    return Pi(pi.root, pi.site, folder)


def unpacked() -> Path:
    """A Debian 12 for arm64 with Python; made once."""
    place = containers.CACHE / "root-bookworm-arm64"
    if not place.is_dir():
        part = containers.CACHE / "part-arm64"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--foreign", "--arch=arm64", "--variant=minbase",
             "--include=python3,python3-pyaudio,python3-pip-whl", "bookworm", part, containers.mirror()],
            check=True, stdout=subprocess.DEVNULL, timeout=1500,
        )  # fmt: skip
        for package in sorted((part / "var/cache/apt/archives").glob("*.deb")):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
                command = ["tar", "x", "--keep-directory-symlink", "-C", part]
                subprocess.run(command, stdin=content.stdout, check=True)
        part.rename(place)
    return place


def test_every_library_of_the_ear_and_the_link_loads(pi: Pi) -> None:
    pi.python("-c", "import ai_edge_litert, msgspec, numpy, paho.mqtt.client, pyaudio, soundfile, soxr, ulid")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_golden_outputs_are_met_with_reference_and_with_default_kernels(
    computing: Pi, bundle: str
) -> None:
    assert "litert" in computing.python("-c", SELF_TEST, ROOT / "models" / bundle)


def test_a_recording_is_classified_as_on_this_machine(computing: Pi) -> None:
    bundle = str(next((ROOT / "models").glob("base-*")))
    arguments = ["-m", "edge.cli", "classify", str(SPEECH / "goforward.raw"), "--json", "--bundle", bundle]
    here = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
    mine, theirs = json.loads(here.stdout), json.loads(computing.python(*arguments))
    assert theirs.keys() == mine.keys()
    close(mine, theirs)


def close(mine: object, theirs: object) -> None:
    """The same, but for the last digits of a probability."""
    if isinstance(mine, dict):
        assert isinstance(theirs, dict)
        for key, value in mine.items():
            if key not in {"latency_ms", "runtime", "seconds", "id"}:
                close(value, theirs[key])
    elif isinstance(mine, list):
        assert isinstance(theirs, list)
        for one, other in zip(mine, theirs, strict=True):
            close(one, other)
    elif isinstance(mine, float):
        assert isinstance(theirs, float | int)
        assert abs(mine - theirs) < 0.02
    else:
        assert mine == theirs
