"""`./run bench arm`: counted instructions and estimated times, which `tests.bench.options` describes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from edge.ear.watchdog import SELF_TEST_PERIOD_S
from edge.inference import bundle
from provisioning.demo import playback_dirs
from tests.bench import options
from tests.bench.arm import count, estimate
from tests.bench.arm.count import Count
from tests.bench.process import Measured
from tests.bench.sound import quiet, speech
from tests.conftest import ROOT
from tests.support.machines import raspberry_pi

ROWS = {
    "silence_second": "the whole ear, 1 s of silence",
    "vad_second": "voice activity, 1 s of sound",
    "features": "features, 3 s of speech",
    "base_inference": "base: inference",
    "base_utterance": "base: 3 s of speech",
    "small_inference": "small: inference",
    "small_utterance": "small: 3 s of speech",
}
"""Key of a work and what it is called, in the order of the tables; `roomtone doctor --bench` uses the same names."""


def ear_config(folder: Path, seconds: int, family: str = "small") -> Path:
    """Configuration of an ear that plays so many seconds of silence and ends; `small` loads faster than `base`."""
    place = folder / f"quiet-{seconds}"
    if not place.exists():
        place.mkdir()
        soundfile.write(place / "quiet.wav", quiet(seconds), 16_000)
    audio = {"source": "playback", "playback_dir": str(place), "speed": 1.0, "loop": False}
    return playback_dirs.write_config(playback_dirs.Room(place.name, place.name, audio), 1, family, folder)


def counted(
    machine: count.Machine, plugin: Path, folder: Path, bundles: Sequence[Path], silence: bool
) -> dict[str, Count]:
    """All works of one machine."""
    print(f"==> {machine.name}: minutes", file=sys.stderr, flush=True)
    found = count.count_works(machine, plugin, folder / "speech.npy", bundles)
    if silence:
        config = lambda seconds: ear_config(folder, seconds)  # noqa: E731
        # The counted seconds are too short for a self-test: its share is added, one inference in each period.
        self_test = found["base_inference"].per(SELF_TEST_PERIOD_S)
        found["silence_second"] = count.count_silence(machine, plugin, config) + self_test
    return {key: found[key] for key in ROWS if key in found}


def silence_ms(folder: Path) -> float:
    """CPU milliseconds of an ear with `base` for 1 s of silence on this machine, outside of the kernel."""
    config = ear_config(folder, 60, "base")
    ear = Measured([sys.executable, "-m", "edge.cli.main", "ear", "--config", str(config)])
    try:
        ear.wait_for("ready", 60)
        time.sleep(2.0)
        before = ear.user_s()
        time.sleep(SELF_TEST_PERIOD_S)
        return 1000 * (ear.user_s() - before) / SELF_TEST_PERIOD_S
    finally:
        ear.stop()


def estimated(works: Mapping[str, Count], processor: estimate.Processor) -> dict[str, dict[str, float]]:
    """Work -> instructions, dot products, and the shortest and longest time in milliseconds."""
    result = {}
    for key, found in works.items():
        shares = estimate.SHARE_IN_SILENCE if key == "silence_second" else estimate.SHARE_OF_WIDTH
        least, most = processor.milliseconds(found.instructions, shares)
        result[key] = {
            "instructions": round(found.instructions),
            "dot_products": round(found.dot_products),
            "ms_least": round(least, 2),
            "ms_most": round(most, 2),
        }
    return result


def timed(folder: Path, bundles: Sequence[Path]) -> dict[str, float]:
    """Work -> CPU milliseconds on this machine, the same program without an emulator; the best of three runs."""
    command = [sys.executable, count.WORK, folder / "speech.npy", *bundles, "--time"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = [
        json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        )
        for _ in range(3)
    ]
    return {key: min(run[key] for run in runs) for key in runs[0]}


def check(plugin: Path, folder: Path, bundles: Sequence[Path], silence: bool) -> dict[str, Any]:
    """The same estimate for this machine, beside what it really takes."""
    processor = estimate.Processor("this machine", estimate.measured_ghz(folder), estimate.ZEN_3_WIDTH)
    works = estimated(counted(count.this_machine(), plugin, folder, bundles, silence), processor)
    measured = timed(folder, bundles)
    if silence:
        measured["silence_second"] = silence_ms(folder)
    for key, milliseconds in measured.items():
        work = works[key]
        work["measured_ms"] = round(milliseconds, 2)
        work["share_of_width"] = round(processor.share_of_width(work["instructions"], milliseconds), 2)
        work["holds"] = work["ms_least"] <= milliseconds <= work["ms_most"]
    return {"ghz": processor.ghz, "width": processor.width, "works": works}


def show(result: Mapping[str, Any]) -> None:
    """For people."""
    least, most = estimate.SHARE_OF_WIDTH
    print(
        f"Estimates for {least:g} to {most:g} of the processor's width in instructions per cycle; in silence from "
        f"{estimate.SHARE_IN_SILENCE[0]:g}."
    )
    for name, board in result["boards"].items():
        print(f"\n{name}, {board['ghz']} GHz, {board['width']} instructions wide")
        for key, work in board["works"].items():
            print(
                f"  {ROWS[key]:<32} {work['instructions'] / 1e6:8.1f} million instructions, of which "
                f"{work['dot_products'] / 1e6:6.1f} dot products: {work['ms_least']:7.1f} to {work['ms_most']:.1f} ms"
            )
    if "check" not in result:
        return
    print(
        f"\nCheck on this machine, {result['check']['ghz']} GHz, {result['check']['width']} instructions wide"
    )
    for key, work in result["check"]["works"].items():
        print(
            f"  {ROWS[key]:<32} {work['instructions'] / 1e6:8.1f} million instructions: "
            f"{work['ms_least']:7.2f} to {work['ms_most']:.2f} ms, measured {work['measured_ms']:.2f} "
            f"({work['share_of_width']:.2f} of the width): {'holds' if work['holds'] else 'DOES NOT HOLD'}"
        )


def main() -> int:
    """Count, estimate, check; 1 where the check fails."""
    chosen = options.arm().parse_args()
    bundles = list(bundle.families().values())
    result: dict[str, Any] = {"share_of_width": estimate.SHARE_OF_WIDTH, "boards": {}}
    with tempfile.TemporaryDirectory(prefix="roomtone-arm-") as name:
        folder = Path(name)
        np.save(folder / "speech.npy", speech(3.0))
        plugin = count.build_plugin(folder)
        for kind, board, processor in (
            ("pi4", raspberry_pi.PI_4, estimate.PI_4),
            ("pi5", raspberry_pi.PI_5, estimate.PI_5),
        ):
            if chosen.only in (None, kind):
                machine = count.raspberry(processor.name, board, folder)
                works = counted(machine, plugin, folder, bundles, not chosen.no_silence)
                result["boards"][processor.name] = {
                    "ghz": processor.ghz, "width": processor.width, "works": estimated(works, processor)
                }  # fmt: skip
        if chosen.only in (None, "check") and platform.machine() == "x86_64":
            result["check"] = check(plugin, folder, bundles, not chosen.no_silence)
    if chosen.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if all(work["holds"] for work in result.get("check", {"works": {}})["works"].values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except count.CountError as error:
        sys.exit(f"./run bench arm: {error}")
