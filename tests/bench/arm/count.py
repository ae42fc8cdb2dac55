"""Runs the work under the emulator and reads how many instructions each part of it took."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.ear.process import SELF_TEST_PASSED
from tests.conftest import ROOT
from tests.support.machines import raspberry_pi
from tests.support.machines.arm import Pi, unpacked

HERE = Path(__file__).parent
WORK = HERE / "work.py"
SILENCE_S = (4, 12)
"""Lengths of two playbacks of silence; the difference is what silence costs, without start and end."""
TRIES = 3
SELF_TEST = SELF_TEST_PASSED.partition("%")[0]
"""What the ear writes after a self-test."""


class CountError(Exception):
    """The emulator, the compiler or a mark is missing; the text says which."""


@dataclass(frozen=True)
class Count:
    """Executed instructions, and how many of them were dot products of bytes."""

    instructions: float
    dot_products: float

    def __add__(self, other: Count) -> Count:
        return Count(self.instructions + other.instructions, self.dot_products + other.dot_products)

    def __sub__(self, other: Count) -> Count:
        return Count(self.instructions - other.instructions, self.dot_products - other.dot_products)

    def per(self, number: float) -> Count:
        """The same for one of so many."""
        return Count(self.instructions / number, self.dot_products / number)


def build_plugin(folder: Path) -> Path:
    """Compile insn_count.c for the installed QEMU. Raises `CountError`."""
    for tool in ("gcc", "qemu-aarch64", "qemu-x86_64"):
        if shutil.which(tool) is None:
            raise CountError(f"{tool} is missing: apt-get install qemu-user gcc libc6-dev")
    said = subprocess.run(["qemu-aarch64", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (7, 2)
    api = 1 if version < (9, 0) else 2 if version < (9, 1) else 3
    place = folder / "insn_count.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", f"-DAPI={api}", "-o", place, HERE / "insn_count.c"]
    subprocess.run(command, check=True)
    return place


def read_marks(text: str) -> dict[int, Count]:
    """Mark -> count so far, of what insn_count.c wrote. Raises `CountError` where there is none."""
    marks = {}
    for line in text.splitlines():
        number, instructions, dots = map(int, line.split())
        marks[number] = Count(instructions, dots)
    if -1 not in marks:
        raise CountError("the counted program did not end well")
    return marks


def works_of(marks: Mapping[int, Count], rounds: Mapping[str, float]) -> dict[str, Count]:
    """Work -> count of one: between its two marks, less what a mark itself costs."""
    empty = marks[1] - marks[0]
    return {
        name: (marks[2 * number + 1] - marks[2 * number] - empty).per(many)
        for number, (name, many) in enumerate(rounds.items(), start=1)
    }


@dataclass(frozen=True)
class Machine:
    """An emulated machine: `python` runs its Python with the plug-in's arguments and returns what it wrote."""

    name: str
    python: Callable[[str, Sequence[str | Path]], subprocess.CompletedProcess[str]]


def raspberry(name: str, board: raspberry_pi.Board, folder: Path) -> Machine:
    """A Raspberry Pi; its wheels are unpacked into `folder` once. Needs root (tests/support/machines/arm.py)."""
    site = folder / "site"
    if not site.exists():
        wheels = folder / "wheels"
        wanted = raspberry_pi.download_wheels(wheels)
        raspberry_pi.install_from_here(wheels, wanted, site)
    root = unpacked("arm64", "python3-pip-whl")

    def python(plugin: str, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        emulator = ("qemu-aarch64", "-cpu", board.processor, "-plugin", plugin)
        return Pi(root, emulator, board.cpuinfo, site).run(*arguments)

    return Machine(name, python)


def this_machine() -> Machine:
    """This machine's own Python, emulated with the vector instructions up to AVX2 that QEMU knows."""

    def python(plugin: str, arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        # QEMU names the many instructions for kernels that it lacks, none of which is used here.
        command = [
            "qemu-x86_64",
            "-cpu",
            "EPYC-Milan,check=off",
            "-plugin",
            plugin,
            sys.executable,
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise CountError(f"{' '.join(map(str, command))}: {done.stderr[-1000:]}")
        return done

    return Machine("here", python)


def count_works(machine: Machine, plugin: Path, speech: Path, bundles: Sequence[Path]) -> dict[str, Count]:
    """Work -> count of one, of work.py on this machine."""
    with tempfile.NamedTemporaryFile("r", prefix="insn-count-") as out:
        said = machine.python(f"{plugin},out={out.name}", [WORK, speech, *bundles]).stdout
        return works_of(read_marks(Path(out.name).read_text()), json.loads(said.splitlines()[-1]))


def count_silence(machine: Machine, plugin: Path, ear_config: Callable[[int], Path]) -> Count:
    """The whole ear process per second of silence, all threads: from playbacks of two lengths, in real time.

    Raises `CountError` where the machine is so busy that a self-test fell into each of some counts.
    """
    totals = [_count_playback(machine, plugin, ear_config(seconds)) for seconds in SILENCE_S]
    return (totals[1] - totals[0]).per(SILENCE_S[1] - SILENCE_S[0])


def _count_playback(machine: Machine, plugin: Path, config: Path) -> Count:
    """A whole playback in which the ear made no self-test after that of its start."""
    for _ in range(TRIES):
        with tempfile.NamedTemporaryFile("r", prefix="insn-count-") as out:
            arguments = ["-m", "edge.cli.main", "ear", "--config", config, "--set", "runtime.log_level=debug"]
            done = machine.python(f"{plugin},out={out.name}", arguments)
            if SELF_TEST not in done.stderr:
                return read_marks(Path(out.name).read_text())[-1]
    raise CountError(f"a self-test fell into each of {TRIES} counts of silence: the machine is too busy")
