"""`roomtone model`, as a person at the device runs it: with an ear that listens beside it, and without."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge.ear.baseline_store import MIN_UTTERANCES
from edge.inference import bundle
from tests.support.bundles import tiny
from tests.support.ear import Ear, Link, playback
from tests.support.process import options
from tests.support.process import roomtone as run_roomtone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("bundles"), relative=True)


def roomtone(folder: Path, model: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "runtime.socket": folder / "link.sock",
        "runtime.ear_state_dir": folder,
        "model.bundle": model,
    }
    return run_roomtone("model", *words, *options(settings))


def answer(folder: Path, model: Path, *words: str) -> Any:
    done = roomtone(folder, model, *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_an_ear_learns_remembers_and_forgets(tmp_path: Path, model: Path, link: Link, room: Path) -> None:
    settings = {
        **playback(room, speed=50, gap_s=0.6),
        "model.bundle": model,
        "runtime.ear_state_dir": tmp_path,
    }
    first = Ear(tmp_path, settings)
    try:
        link.accept()
        link.events(MIN_UTTERANCES + 5, 60.0)
        assert first.stop() == 0
    finally:
        first.kill()
    kept = answer(tmp_path, model, "status")["baseline"]
    assert kept["enabled"]
    assert kept["utterances"] >= MIN_UTTERANCES
    assert 0 < kept["shrinkage"] < 1
    assert kept["saved"] >= kept["since"]
    second = Ear(tmp_path, {**settings, "audio.speed": 1})
    try:
        second.wait_for_line(rf"baseline: {kept['utterances']} utterances since {kept['since']}")
        second.wait_for_line("ready after")
        told = answer(tmp_path, model, "forget")
        assert told == {"file": str(tmp_path / "link.baseline.json"), "removed": True, "ear_noticed": True}
        second.wait_for_line(r"baseline deleted \(\d+ utterances\)")
        assert answer(tmp_path, model, "status")["baseline"]["utterances"] == 0
        assert second.stop() == 0
    finally:
        second.kill()
    assert answer(tmp_path, model, "status")["baseline"]["utterances"] == 0


def test_status_names_the_model_and_where_things_are(tmp_path: Path, model: Path) -> None:
    found = bundle.load(model)
    told = answer(tmp_path, model, "status")
    assert (told["model"], told["sha256"]) == (found.full_name, found.sha256)
    assert told["baseline"]["file"] == str(tmp_path / "link.baseline.json")
    text = roomtone(tmp_path, model, "status").stdout
    assert found.sha256 in text
    assert "no data yet" in text


def test_forgetting_without_an_ear_works_and_says_that_none_runs(tmp_path: Path, model: Path) -> None:
    (tmp_path / "link.baseline.json").write_text("whatever")
    done = roomtone(tmp_path, model, "forget")
    assert done.returncode == 0
    assert "no ear is running" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert "there is no baseline" in roomtone(tmp_path, model, "forget").stdout


def test_a_damaged_file_is_named(tmp_path: Path, model: Path) -> None:
    (tmp_path / "link.baseline.json").write_text('{"format":')
    told = answer(tmp_path, model, "status")["baseline"]
    assert told["utterances"] == 0
    assert "damaged" in told["reason"]


def test_switched_off_is_named(tmp_path: Path, model: Path) -> None:
    told = answer(tmp_path, model, "status", "--set", "baseline.enabled=false")["baseline"]
    assert not told["enabled"]
    assert "baseline.enabled" in told["reason"]


def test_a_bundle_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = roomtone(tmp_path, tmp_path / "absent", "status")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no model bundle" in done.stderr
