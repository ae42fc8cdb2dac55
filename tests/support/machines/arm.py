"""A Raspberry Pi's user land, emulated (qemu-user): a Debian 12 of its architecture, unpacked and not booted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, SPEECH
from tests.support.machines import container as containers

MARKS = [
    pytest.mark.skipif(
        os.environ.get("ROOMTONE_ARM") != "1", reason="minutes, emulated: ./run test-arm64, ./run test-armhf"
    ),
    pytest.mark.timeout(2400),
]
INSIDE = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'
"""Libraries ask the kernel for the processor, and this machine's kernel speaks of its own: LiteRT crashes of that."""
PROBE = "import platform, sys; print(platform.machine(), sys.version_info[:2] == (3, 11))"


class Pi:
    """The unpacked system, and how a Python program of it is run; `sites`: folders of packages, the first wins."""

    def __init__(self, root: Path, emulator: tuple[str, ...], cpuinfo: str, *sites: Path) -> None:
        self.root = root
        self.emulator = emulator
        self.cpuinfo = cpuinfo
        self.sites = sites

    def python(self, *arguments: str | Path, timeout_s: float = 1200) -> str:
        """The standard output of a run that ended well."""
        return self.run(*arguments, timeout_s=timeout_s).stdout

    def run(self, *arguments: str | Path, timeout_s: float = 1200) -> subprocess.CompletedProcess[str]:
        """A run that ended well, with all that it wrote."""
        path = [*self.sites, self.root / "usr/lib/python3/dist-packages"]
        environment = {
            "PYTHONPATH": ":".join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin",
            "HOME": str(self.sites[-1]), "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        program = [*self.emulator, "-L", self.root, self.root / "usr/bin/python3.11", *arguments]
        with tempfile.NamedTemporaryFile("w") as cpuinfo:
            cpuinfo.write(self.cpuinfo)
            cpuinfo.flush()
            done = subprocess.run(
                ["unshare", "--mount", "/bin/sh", "-c", INSIDE, cpuinfo.name, *program],
                env=environment, capture_output=True, text=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done


def need(*tools: str) -> None:
    """Fails the test where one is missing, or the rights to use them."""
    if os.geteuid() != 0:
        pytest.fail("this needs root: an emulated program has to be shown a /proc/cpuinfo of its own")
    for tool in ("debootstrap", *tools):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.fail(f"{tool} is missing: ./run test-arm64 and test-armhf install it")


def unpacked(arch: str, *packages: str) -> Path:
    """A Debian 12 of that architecture with Python and these packages; made once."""
    place = containers.CACHE / f"root-bookworm-{arch}"
    if not place.is_dir():
        part = containers.CACHE / f"part-{arch}"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--foreign", f"--arch={arch}", "--variant=minbase",
             f"--include={','.join(('python3', 'python3-pyaudio', *packages))}", "bookworm", part, containers.mirror()],
            check=True, stdout=subprocess.DEVNULL, timeout=1500,
        )  # fmt: skip
        for package in sorted((part / "var/cache/apt/archives").glob("*.deb")):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
                command = ["tar", "x", "--keep-directory-symlink", "-C", part]
                subprocess.run(command, stdin=content.stdout, check=True)
        part.rename(place)
    return place


def own_wheel(folder: Path) -> None:
    """Roomtone's own: without it there are no sub-commands."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)


def same_answer(pi: Pi, bundle: Path, within: float) -> None:
    """Asserts that a recording is classified as on this machine, but for so much of a probability."""
    classify = [
        "-m",
        "edge.cli.main",
        "classify",
        str(SPEECH / "goforward.raw"),
        "--json",
        "--bundle",
        str(bundle),
    ]
    here = subprocess.run([sys.executable, *classify], capture_output=True, text=True, check=True, cwd=ROOT)
    _close(json.loads(here.stdout), json.loads(pi.python(*classify)), within)


def _close(mine: object, theirs: object, within: float) -> None:
    if isinstance(mine, dict):
        assert isinstance(theirs, dict)
        assert theirs.keys() == mine.keys()
        for key, value in mine.items():
            if key not in {"latency_ms", "runtime", "seconds", "id"}:
                _close(value, theirs[key], within)
    elif isinstance(mine, list):
        assert isinstance(theirs, list)
        for one, other in zip(mine, theirs, strict=True):
            _close(one, other, within)
    elif isinstance(mine, float):
        assert isinstance(theirs, float | int)
        assert abs(mine - theirs) < within
    else:
        assert mine == theirs
