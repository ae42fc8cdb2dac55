"""`roomtone doctor --bench`: measures the speed and memory of each bundle here and recommends one."""

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
from edge.doctor.bundle_cost import BundleCost
from edge.protocol.bundle_name import family_of
from edge.util.errors import UserError

CPU_MS: Final = 500.0
"""CPU milliseconds allowed for 3 s of speech: the event is ready half a second after its end, and speech without
pauses takes a third of a core (windows of 3 s every 1.5 s)."""
MEMORY_SHARE: Final = 0.25
"""Share of the memory allowed for the ear: the rest is for the system and the link."""
PREFERRED: Final = ("base", "small")
"""Families by accuracy, the better one first."""
TIMEOUT_S: Final = 300.0


class DeviceInfo(Struct, frozen=True, kw_only=True):
    """Hardware and Python of this device."""

    cpu: str
    architecture: str
    cores: int
    memory_mb: int
    python: str
    cpuinfo: bool
    """Whether /proc/cpuinfo can be read: without it LiteRT uses slow kernels."""


class Runtime(Struct, frozen=True, kw_only=True):
    """One of the supported TFLite interpreters."""

    name: str
    version: str | None
    """None where it is not installed."""
    detail: str = ""


class Detector(Struct, frozen=True, kw_only=True):
    """The voice activity detector, which runs all the time."""

    engine: str
    share: float
    """CPU time as a share of one core."""


class BundleResult(Struct, frozen=True, kw_only=True):
    """A measured bundle."""

    bundle: str
    family: str
    path: str
    cost: BundleCost
    pace: float
    """Inference time relative to plain arithmetic on this device: above 25 the interpreter is slow."""
    fits: bool
    why: str


class Report(Struct, frozen=True, kw_only=True):
    """What `roomtone doctor --bench --json` prints."""

    device: DeviceInfo
    runtimes: tuple[Runtime, ...]
    detector: Detector | None
    bundles: tuple[BundleResult, ...]
    recommended: str | None
    why: str


def measure(config: Config, progress: Callable[[str], None]) -> Report:
    """Measure the detector and every bundle; `progress` gets the name of each step.

    Raises `UserError` where there is no bundle.
    """
    from edge.config import model_folders
    from edge.inference import bundle, pace

    found = bundle.families()
    if not found:
        raise UserError(
            f"no model bundle: looked in {', '.join(str(place) for place in model_folders.places())}"
        )
    device = device_info()
    progress("voice activity")
    detector = _detector(config)
    reference_s = pace.reference_s()
    candidates = []
    for family, folder in found.items():
        progress(f"bundle {folder.name}")
        cost = _measure_cost(folder)
        candidates.append(_result(family, folder, cost, reference_s, device))
    candidates.sort(key=lambda one: _rank(one.family))
    chosen, why = recommend(candidates)
    return Report(
        device=device,
        runtimes=tuple(runtimes()),
        detector=detector,
        bundles=tuple(candidates),
        recommended=chosen,
        why=why,
    )


def _rank(family: str) -> int:
    return PREFERRED.index(family) if family in PREFERRED else len(PREFERRED)


def recommend(candidates: Sequence[BundleResult]) -> tuple[str | None, str]:
    """Return the first bundle that fits and the reason; None where none fits. `candidates`: the better one first."""
    refused: list[str] = []
    for one in candidates:
        if one.fits:
            return one.bundle, "; ".join([one.why, *refused])
        refused.append(f"{one.bundle} does not fit: {one.why}")
    if not any(one.family == "small" for one in candidates):
        refused.append("a bundle of the family `small` would be lighter, but there is none here")
    return None, "; ".join(refused)


def _result(
    family: str, folder: Path, cost: BundleCost, reference_s: float, device: DeviceInfo
) -> BundleResult:
    from edge.inference.pace import Pace

    pace = Pace(round(cost.inference_cpu_ms / 1000 / reference_s, 2), device.cpuinfo)
    allowed_mb = MEMORY_SHARE * device.memory_mb
    if cost.error:
        fits, why = False, cost.error
    elif cost.cpu_ms > CPU_MS:
        fits, why = False, f"{cost.cpu_ms:.0f} ms for 3 s of speech, limit {CPU_MS:.0f} ms"
        why += f" ({pace.why})" if pace.slow else ""
    elif cost.rss_mb > allowed_mb:
        fits, why = False, f"{cost.rss_mb:.0f} MB, limit {allowed_mb:.0f} MB"
    else:
        fits = True
        why = f"{cost.cpu_ms:.0f} ms for 3 s of speech (limit {CPU_MS:.0f} ms), "
        why += f"{cost.rss_mb:.0f} MB of memory (limit {allowed_mb:.0f} MB)"
        why += f"; slow interpreter: {pace.why}" if pace.slow else ""
    return BundleResult(
        bundle=folder.name,
        family=family,
        path=str(folder),
        cost=cost,
        pace=pace.factor,
        fits=fits,
        why=why,
    )


def _measure_cost(folder: Path) -> BundleCost:
    command = [sys.executable, "-m", "edge.doctor.bundle_cost", str(folder)]
    # As the ear does: one thread for numeric libraries.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=environment
        )
        return msgspec.json.decode(done.stdout, type=BundleCost)
    except subprocess.TimeoutExpired:
        return BundleCost(error=f"took longer than {TIMEOUT_S:.0f} s")
    except msgspec.MsgspecError:
        last = (done.stderr.strip().splitlines() or ["no error output"])[-1]
        return BundleCost(error=f"ended with status {done.returncode}: {last}")


def device_info() -> DeviceInfo:
    """Describe this device without measuring."""
    from edge.inference.pace import CPUINFO

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return DeviceInfo(
        cpu=_cpu(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=round(pages / 1e6),
        python=platform.python_version(),
        cpuinfo=os.access(CPUINFO, os.R_OK),
    )


def _cpu() -> str:
    """The model of the board on a Raspberry Pi, elsewhere that of the processor."""
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
    """List the supported interpreters; the first one that is installed is used."""
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


def format_report(report: Report) -> str:
    """Format the report as text."""
    device = report.device
    lines = [
        f"{device.cpu} ({device.architecture}), {device.cores} cores, {device.memory_mb} MB, Python {device.python}",
        "",
        *(f"  {one.name:<16} {one.version or one.detail}" for one in report.runtimes),
    ]
    if not device.cpuinfo:
        lines.append("  /proc/cpuinfo is hidden: the interpreter uses slow kernels (no ProcSubset=pid)")
    if report.detector is not None:
        found = report.detector
        lines.append(
            f"  voice activity   {found.engine}, 1 s of sound: {1000 * found.share:.1f} ms, {found.share:.1%} of a core"
        )
    lines += ["", f"  {'bundle':<16} {'3 s of speech':>14} {'inference':>10} {'memory':>8}  fits"]
    for one in report.bundles:
        cost = one.cost
        figures = (
            f"{'-':>14} {'-':>10} {'-':>8}"
            if cost.error
            else f"{cost.cpu_ms:>11.1f} ms {cost.inference_cpu_ms:>7.1f} ms {cost.rss_mb:>5.0f} MB"
        )
        lines.append(f"  {one.bundle:<16} {figures}  {'yes' if one.fits else f'no: {one.why}'}")
    lines.append("")
    if report.recommended is None:
        lines.append(f"No bundle fits this device: {report.why}")
    else:
        lines.append(f"Recommended: {report.recommended}: {report.why}.")
        lines.append(f'  in /etc/roomtone/roomtone.toml: [model] bundle = "{family_of(report.recommended)}"')
    return "\n".join(lines)
