"""`roomtone doctor --bench` and the notice of a slow interpreter, on this very device."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.doctor.benchmark import BundleResult, DeviceInfo, _result, recommend
from edge.doctor.bundle_cost import BundleCost
from edge.inference import bundle, pace
from edge.inference.pace import ABNORMAL, Pace

PI = DeviceInfo(
    cpu="Raspberry Pi Zero 2 W Rev 1.0",
    architecture="aarch64",
    cores=4,
    memory_mb=448,
    python="3.11.2",
    cpuinfo=True,
)


def bench(*more: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "doctor", "--bench", *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=150,
    )


def candidate(family: str, cpu_ms: float, rss_mb: float = 70.0, error: str = "") -> BundleResult:
    cost = BundleCost(
        cpu_ms=cpu_ms, wall_ms=cpu_ms, inference_cpu_ms=cpu_ms, rss_mb=rss_mb, runtime="litert 2", error=error
    )
    return _result(family, Path(f"/models/{family}-1.0.0"), cost, 0.05, PI)


def test_this_box_is_measured_with_every_family_that_is_here(tmp_path: Path) -> None:
    broken = tmp_path / "broken-1.0.0"
    shutil.copytree(bundle.find("base"), broken)
    (broken / "model.tflite").write_bytes(b"no model")
    done = bench("--json", environment={"ROOMTONE_MODELS": str(tmp_path)})
    found = json.loads(done.stdout)
    measured = {one["family"]: one for one in found["bundles"]}
    assert set(measured) == {"broken", *bundle.families()}
    assert "sha256 differs" in measured["broken"]["cost"]["error"]
    assert not measured["broken"]["fits"]
    base = measured["base"]["cost"]
    assert 0 < base["cpu_ms"] < 5000
    assert 20 < base["rss_mb"] < 300
    assert base["runtime"]
    assert found["device"]["memory_mb"] > 100
    assert 0 < found["detector"]["share"] < 0.5
    versions = {one["name"]: one["version"] for one in found["runtimes"]}
    assert set(versions) == {"ai-edge-litert", "tflite-runtime"}
    assert any(versions.values())
    assert done.returncode == (0 if found["recommended"] else 1)


def test_the_report_for_people_names_the_bundle_to_take() -> None:
    done = bench()
    assert "Take base-" in done.stdout or "None fits" in done.stdout
    assert "3 s of speech" in done.stdout


def test_the_better_bundle_is_taken_where_it_fits() -> None:
    chosen, why = recommend([candidate("base", 200), candidate("small", 20)])
    assert chosen == "base-1.0.0"
    assert "200 ms" in why


def test_the_light_bundle_is_taken_where_the_better_one_is_too_slow_or_too_big() -> None:
    chosen, why = recommend([candidate("base", 900), candidate("small", 60)])
    assert chosen == "small-1.0.0"
    assert "60 ms" in why
    assert "base-1.0.0 does not fit: 900 ms" in why
    chosen, why = recommend([candidate("base", 200, rss_mb=150), candidate("small", 60)])
    assert chosen == "small-1.0.0"
    assert "150 MB" in why


def test_where_nothing_fits_the_reason_is_said_and_what_would_help() -> None:
    assert recommend([candidate("base", 900)]) == (
        None,
        "base-1.0.0 does not fit: 900 ms for 3 s of speech, limit 500 ms; "
        "a bundle of the family `small` would be lighter, but there is none here",
    )
    chosen, why = recommend([candidate("base", 0, error="no TFLite interpreter"), candidate("small", 800)])
    assert chosen is None
    assert "no TFLite interpreter" in why


def test_a_slow_interpreter_is_told_from_a_slow_box() -> None:
    # The same half second: on a slow box it is much arithmetic, on a fast one it is not.
    assert not Pace(0.5 / 0.08, cpuinfo=True).slow
    assert Pace(0.5 / 0.005, cpuinfo=True).slow
    assert "cpuinfo" in Pace(2.0, cpuinfo=False).why


def test_the_interpreter_of_this_box_is_not_slow() -> None:
    code = (
        "import time, json\n"
        "from edge.inference import bundle, pace\n"
        "from edge.inference.classifier import Classifier\n"
        "classifier = Classifier(bundle.load(bundle.find('base')))\n"
        "classifier.self_test()\n"
        "begun = time.thread_time()\n"
        "count = classifier.self_test()\n"
        "found = pace.measure((time.thread_time() - begun) / count)\n"
        "print(json.dumps([found.factor, found.cpuinfo, found.slow]))\n"
    )
    plain = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 0 < plain[0] < ABNORMAL
    assert plain[1:] == [True, False]
    # The positive control: a real /proc of `ProcSubset=pid`, as systemd would give it.
    hide = ["unshare", "--mount", "--pid", "--fork", "sh", "-c"]
    script = 'mount -t proc -o subset=pid proc /proc && exec "$@"'
    hidden = subprocess.run(
        [*hide, script, "sh", sys.executable, "-c", code], capture_output=True, check=False
    )
    if hidden.returncode:
        pytest.skip(f"no namespaces here: {hidden.stderr.decode().strip()[-100:]}")
    factor, cpuinfo, slow = json.loads(hidden.stdout)
    assert (cpuinfo, slow) == (False, True)
    if pace.os.uname().machine == "x86_64":
        assert factor > 3 * plain[0]


def test_an_ear_with_slow_kernels_says_so(tmp_path: Path) -> None:
    speech = tmp_path / "room"
    speech.mkdir()
    soundfile.write(speech / "quiet.wav", np.zeros(16_000, np.int16), 16_000)
    ear = [sys.executable, "-m", "edge.cli.main", "ear"]
    for setting in (
        "audio.source=playback",
        f"audio.playback_dir={speech}",
        f"runtime.socket={tmp_path / 'link.sock'}",
    ):
        ear += ["--set", setting]
    script = 'mount -t proc -o subset=pid proc /proc && exec "$@"'
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", *ear]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "unshare" in line or "mount:" in line:
                process.kill()
                pytest.skip(f"no namespaces here: {line.strip()}")
            if "self-test takes" in line:
                break
        process.kill()
    assert said, "nothing was said"
    assert "takes" in said[-1]
    assert "/proc/cpuinfo is hidden" in said[-1]
