"""`roomtone doctor --bench`: what this box can do, and which bundle fits it."""

from __future__ import annotations

import importlib
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.doctor.bundle_cost import Weight
from edge.util.errors import UserError

CPU_MS: Final = 500.0
"""For an utterance of 3 s: half a second after its end its event is there, and speech without pause takes a third of a
core (windows of 3 s every 1.5 s)."""
MEMORY_SHARE: Final = 0.25
"""Of all memory, for the ear: the rest is for the system and the link."""
PREFERRED: Final = ("base", "small")
"""The better one first."""
PATIENCE_S: Final = 300.0


class Machine(Struct, frozen=True, kw_only=True):
    """The box."""

    cpu: str
    architecture: str
    cores: int
    memory_mb: int
    python: str
    cpuinfo: bool
    """Whether /proc/cpuinfo can be read: without it LiteRT takes slow kernels."""


class Runtime(Struct, frozen=True, kw_only=True):
    """One of the interpreters that could be here."""

    name: str
    version: str | None
    """None: not here."""
    detail: str = ""


class Detector(Struct, frozen=True, kw_only=True):
    """The voice activity detector, which always runs."""

    engine: str
    share: float
    """Of one core."""


class Candidate(Struct, frozen=True, kw_only=True):
    """One bundle, measured."""

    bundle: str
    family: str
    path: str
    weight: Weight
    pace: float
    """Inference in yardsticks of this box: 25 or more is a slow interpreter."""
    fits: bool
    why: str


class Report(Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    machine: Machine
    runtimes: tuple[Runtime, ...]
    detector: Detector | None
    bundles: tuple[Candidate, ...]
    recommended: str | None
    why: str


def measure(config: Config, say: Callable[[str], None]) -> Report:
    """Everything, one after another; `say` is told what comes next. Raises `UserError` where there is no bundle."""
    from edge.inference import bundle, pace

    found = bundle.families()
    if not found:
        raise UserError(f"no model bundle: looked in {', '.join(str(place) for place in bundle.places())}")
    box = machine()
    say("voice activity")
    detector = _detector(config)
    yardstick = pace.yardstick_s()
    candidates = []
    for family, folder in found.items():
        say(f"bundle {folder.name}")
        weight = _weigh(folder)
        candidates.append(_candidate(family, folder, weight, yardstick, box))
    candidates.sort(key=lambda one: _rank(one.family))
    chosen, why = choose(candidates)
    return Report(
        machine=box,
        runtimes=tuple(runtimes()),
        detector=detector,
        bundles=tuple(candidates),
        recommended=chosen,
        why=why,
    )


def _rank(family: str) -> int:
    return PREFERRED.index(family) if family in PREFERRED else len(PREFERRED)


def choose(candidates: Sequence[Candidate]) -> tuple[str | None, str]:
    """The best bundle that fits, and the reason; None where none fits. `candidates`: the better one first."""
    refused: list[str] = []
    for one in candidates:
        if one.fits:
            return one.bundle, "; ".join([one.why, *refused])
        refused.append(f"{one.bundle} does not fit: {one.why}")
    if not any(one.family == "small" for one in candidates):
        refused.append("a bundle of the family `small` would be lighter, but there is none here")
    return None, "; ".join(refused)


def _candidate(family: str, folder: Path, weight: Weight, yardstick_s: float, box: Machine) -> Candidate:
    from edge.inference.pace import Pace

    pace = Pace(round(weight.inference_cpu_ms / 1000 / yardstick_s, 2), box.cpuinfo)
    allowed_mb = MEMORY_SHARE * box.memory_mb
    if weight.error:
        fits, why = False, weight.error
    elif weight.cpu_ms > CPU_MS:
        fits, why = False, f"{weight.cpu_ms:.0f} ms for 3 s of speech, at most {CPU_MS:.0f} ms are good"
        why += f" ({pace.why})" if pace.slow else ""
    elif weight.rss_mb > allowed_mb:
        fits, why = False, f"{weight.rss_mb:.0f} MB, at most {allowed_mb:.0f} MB are good here"
    else:
        fits = True
        why = f"{weight.cpu_ms:.0f} ms for 3 s of speech (limit {CPU_MS:.0f} ms), "
        why += f"{weight.rss_mb:.0f} MB of memory (limit {allowed_mb:.0f} MB)"
        why += f"; yet slow: {pace.why}" if pace.slow else ""
    return Candidate(
        bundle=folder.name,
        family=family,
        path=str(folder),
        weight=weight,
        pace=pace.factor,
        fits=fits,
        why=why,
    )


def _weigh(folder: Path) -> Weight:
    command = [sys.executable, "-m", "edge.doctor.bundle_cost", str(folder)]
    # As the ear does: libraries that start a thread for each core would only stand in their own way.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment
        )
        return msgspec.json.decode(done.stdout, type=Weight)
    except subprocess.TimeoutExpired:
        return Weight(error=f"took longer than {PATIENCE_S:.0f} s")
    except msgspec.MsgspecError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Weight(error=f"ended with status {done.returncode}: {last}")


def machine() -> Machine:
    """What is known of the box without measuring."""
    from edge.inference.pace import CPUINFO

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_cpu(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=round(pages / 1e6),
        python=platform.python_version(),
        cpuinfo=os.access(CPUINFO, os.R_OK),
    )


def _cpu() -> str:
    """On a Raspberry Pi the model of the board, elsewhere that of the processor."""
    try:
        board = Path("/proc/device-tree/model").read_text(encoding="utf-8").strip("\0\n ")
        if board:
            return board
    except (OSError, UnicodeDecodeError):
        pass
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else "unknown"


def runtimes() -> list[Runtime]:
    """Both interpreters, whether they are here or not; the first that is will be used."""
    from edge.inference.interpreter import LIBRARIES

    found = []
    for module, distribution, _ in LIBRARIES:
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            found.append(Runtime(name=distribution, version=None, detail="not installed"))
            continue
        try:
            importlib.import_module(module)
        except ImportError as error:
            found.append(
                Runtime(name=distribution, version=None, detail=f"{version} cannot be loaded: {error}")
            )
        else:
            found.append(Runtime(name=distribution, version=version))
    return found


def _detector(config: Config) -> Detector | None:
    import numpy as np

    from edge.audio.segmenter import BLOCK, BLOCK_MS
    from edge.audio.vad import make_vad

    try:
        vad = make_vad(config)
    except UserError:
        return None
    sound = np.random.default_rng(0).normal(0, 1000, BLOCK).astype(np.int16)
    vad.probability(sound)
    times = []
    for _ in range(200):
        begun = time.thread_time()
        vad.probability(sound)
        times.append(time.thread_time() - begun)
    return Detector(engine=vad.engine, share=round(1000 * statistics.median(times) / BLOCK_MS, 4))


def picture(report: Report) -> str:
    """The report for people."""
    box = report.machine
    lines = [
        f"{box.cpu} ({box.architecture}), {box.cores} cores, {box.memory_mb} MB, Python {box.python}",
        "",
        *(f"  {one.name:<16} {one.version or one.detail}" for one in report.runtimes),
    ]
    if not box.cpuinfo:
        lines.append("  /proc/cpuinfo is hidden: the interpreter takes slow kernels (no ProcSubset=pid)")
    if report.detector is not None:
        lines.append(
            f"  voice activity   {report.detector.engine}, {report.detector.share:.1%} of a core, always"
        )
    lines += ["", f"  {'bundle':<16} {'3 s of speech':>14} {'inference':>10} {'memory':>8}  fits"]
    for one in report.bundles:
        weight = one.weight
        figures = (
            f"{'-':>14} {'-':>10} {'-':>8}"
            if weight.error
            else f"{weight.cpu_ms:>11.1f} ms {weight.inference_cpu_ms:>7.1f} ms {weight.rss_mb:>5.0f} MB"
        )
        lines.append(f"  {one.bundle:<16} {figures}  {'yes' if one.fits else f'no: {one.why}'}")
    lines.append("")
    if report.recommended is None:
        lines.append(f"None fits this box: {report.why}")
    else:
        lines.append(f"Take {report.recommended}: {report.why}.")
        lines.append(
            f'  in /etc/roomtone/roomtone.toml: [model] bundle = "{report.recommended.partition("-")[0]}"'
        )
    return "\n".join(lines)
