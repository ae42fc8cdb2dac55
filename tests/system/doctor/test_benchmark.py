"""`roomtone doctor --bench` and the notice of a slow interpreter, on this very computer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.doctor.benchmark import family_of
from edge.inference import bundle, pace
from edge.inference.pace import ABNORMAL


def bench(*more: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "doctor", "--bench", *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=150,
    )


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
    found = json.loads(bench("--json").stdout)
    assert found["recommended"] is None or f'bundle = "{family_of(found["recommended"])}"' in done.stdout
    assert "3 s of speech" in done.stdout


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
