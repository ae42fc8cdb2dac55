"""The room's mean on a real disk: kept, bound to its model, forgotten, and never the end of the ear."""

import json
import logging
import resource
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge.config.load import load
from edge.config.settings import Config
from edge.ear import baseline_file, baseline_store
from edge.ear.baseline_store import MIN_UTTERANCES, SAVE_PERIOD_S, BaselineStore, Quality
from edge.inference import bundle
from edge.inference.bundle import Bundle
from edge.inference.classifier import Result
from edge.protocol import LABELS
from edge.util.atomic_file import temporary_path
from tests.support.bundles import tiny
from tests.support.bundles.shipped import update_hashes
from tests.support.log_codes import codes

GOOD = Quality(snr_db=20.0, clipped=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle.load(tiny.make(tmp_path_factory.mktemp("bundles"), relative=True))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kitchen.baseline.json"


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(
    outputs: object = (3.0, 0, 0, 0, 0, 0, 0, 0), *, enough_speech: bool = True, event_type: str = "neutral"
) -> Result:
    shares = dict.fromkeys(LABELS, 1 / 7)
    return Result(
        event_type, 1 / 7, shares, np.zeros(4, np.float32), np.array(outputs, np.float64), enough_speech
    )


def hear(room: BaselineStore, count: int) -> None:
    for _ in range(count):
        room.update(said(), GOOD)


def kept(file: Path) -> int:
    return int(json.loads(file.read_bytes())["baseline"]["utterances"])


def settings(folder: Path, **more: object) -> Config:
    found = {"runtime.socket": str(folder / "kitchen.sock"), "runtime.ear_state_dir": str(folder)}
    return load(overrides={**found, **more})


def test_what_was_heard_outlives_a_restart(
    file: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    first = BaselineStore(file, model, 2000)
    hear(first, 30)
    first.close()
    second = BaselineStore(file, model, 2000)
    assert second.baseline.to_state() == first.baseline.to_state()
    assert "baseline_loaded" in codes(caplog)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size < 1500
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_mean_of_few_utterances_is_not_written(file: Path, model: Bundle) -> None:
    room = BaselineStore(file, model, 2000)
    hear(room, MIN_UTTERANCES - 1)
    room.close()
    assert kept(file) == 0
    assert not np.any(json.loads(file.read_bytes())["baseline"]["location"])
    hear(room, 1)
    room.close()
    assert kept(file) == MIN_UTTERANCES


def test_the_disk_is_written_once_in_ten_minutes_at_most(file: Path, model: Bundle) -> None:
    clock, written = Clock(), set()
    room = BaselineStore(file, model, 2000, clock)
    hear(room, 100)
    for _ in range(3600):
        clock.now += 1.0
        hear(room, 1)
        room.poll()
        written.add(file.stat().st_ino)
        written.add(file.stat().st_mtime_ns)
    assert len(written) <= 2 * (1 + 3600 / SAVE_PERIOD_S)
    assert kept(file) > 100


def test_nothing_is_written_where_nobody_spoke(file: Path, model: Bundle) -> None:
    clock = Clock()
    room = BaselineStore(file, model, 2000, clock)
    before = file.stat()
    for _ in range(20):
        clock.now += SAVE_PERIOD_S
        room.poll()
    room.close()
    assert file.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("result", "quality"),
    [
        (said(enough_speech=False), GOOD),
        (said(), Quality(snr_db=3.0, clipped=0.0)),
        (said(), Quality(snr_db=float("nan"), clipped=0.0)),
        (said(), Quality(snr_db=20.0, clipped=0.05)),
        (said([np.nan] * 8), GOOD),
        (said([np.inf] * 8), GOOD),
    ],
)
def test_what_is_short_soft_clipped_or_no_number_teaches_nothing(
    file: Path, model: Bundle, result: Result, quality: Quality
) -> None:
    room = BaselineStore(file, model, 2000)
    room.update(result, quality)
    assert room.baseline.utterances == 0


def test_what_the_classifier_is_not_sure_of_counts(file: Path, model: Bundle) -> None:
    room = BaselineStore(file, model, 2000)
    room.update(said(event_type="uncertain"), GOOD)
    assert room.baseline.utterances == 1


def with_another_graph(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as end:
        end.write(b"\0")
    update_hashes(folder, "model.tflite")


def with_another_version(folder: Path) -> None:
    """The graph is the same; the constants may differ, and what was usual for the one says nothing to the other."""
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": "9.9.9"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("change", [with_another_graph, with_another_version])
def test_the_baseline_of_another_bundle_is_dropped(
    tmp_path: Path,
    file: Path,
    model: Bundle,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Path], None],
) -> None:
    room = BaselineStore(file, model, 2000)
    hear(room, 30)
    room.close()
    folder = shutil.copytree(model.path, tmp_path / "other" / model.path.name)
    change(folder)
    other = bundle.load(folder)
    assert (other.sha256 == model.sha256) == (other.full_name != model.full_name)
    assert BaselineStore(file, other, 2000).baseline.utterances == 0
    assert kept(file) == 0
    assert json.loads(file.read_bytes())["model_sha256"] == other.sha256
    assert "baseline_replaced" in codes(caplog)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\xff\xfe\x00" * 50,
        lambda data: b'{"node": "kitchen"}',
        lambda data: data.replace(b'"weight":', b'"weight":-'),
        lambda data: data.replace(b'"utterances":30', b'"utterances":1e400'),
        lambda data: data.replace(b'"location":[', b'"location":[1,'),
        lambda data: data + b" " * (2 << 20),
    ],
    ids=["half", "empty", "binary", "foreign", "negative", "infinite", "longer", "huge"],
)
def test_a_damaged_file_is_dropped_in_one_line(
    file: Path, model: Bundle, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    room = BaselineStore(file, model, 2000)
    hear(room, 30)
    room.close()
    file.write_bytes(spoil(file.read_bytes()))  # type: ignore[operator]
    caplog.clear()
    second = BaselineStore(file, model, 2000)
    assert second.baseline.utterances == 0
    assert codes(caplog) == ["baseline_damaged"]
    assert "\n" not in caplog.records[0].getMessage()
    assert kept(file) == 0


def test_a_folder_in_its_place_is_said_and_the_mean_lives_in_memory(
    file: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    file.mkdir()
    room = BaselineStore(file, model, 2000)
    hear(room, 30)
    room.close()
    assert room.baseline.utterances == 30
    assert codes(caplog).count("baseline_not_saved") == 1


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond 16 bytes: the write itself fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_old_file_and_is_said_once(
    file: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    room = BaselineStore(file, model, 2000, clock)
    hear(room, 30)
    room.close()
    hear(room, 5)
    with full_disk():
        for _ in range(5):
            clock.now += SAVE_PERIOD_S
            room.poll()
    assert kept(file) == 30
    assert room.baseline.utterances == 35
    assert codes(caplog).count("baseline_not_saved") == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    clock.now += SAVE_PERIOD_S
    room.poll()
    assert kept(file) == 35


def test_a_missing_folder_is_said_once_and_does_no_harm(
    tmp_path: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    room = BaselineStore(tmp_path / "absent" / "kitchen.baseline.json", model, 2000, clock)
    for _ in range(5):
        hear(room, 30)
        clock.now += SAVE_PERIOD_S
        room.poll()
    room.close()
    assert room.baseline.utterances == 150
    assert codes(caplog).count("baseline_not_saved") == 1


def test_removing_the_file_makes_a_running_ear_forget(
    file: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    room = BaselineStore(file, model, 2000, clock)
    hear(room, 30)
    room.close()
    hear(room, 5)
    assert baseline_file.forget(file)
    clock.now += 1.1
    room.poll()
    assert room.baseline.utterances == 0
    assert room.baseline.shrinkage == 0
    assert kept(file) == 0
    assert codes(caplog).count("baseline_reset") == 1
    hear(room, 25)
    room.close()
    assert kept(file) == 25


def test_a_save_does_not_bring_back_what_was_just_forgotten(file: Path, model: Bundle) -> None:
    room = BaselineStore(file, model, 2000)
    hear(room, 30)
    room.close()
    hear(room, 30)
    assert baseline_file.forget(file)
    room.close()
    assert kept(file) == 0
    assert room.baseline.utterances == 0


def test_forgetting_removes_what_an_interrupted_save_left(file: Path, model: Bundle) -> None:
    BaselineStore(file, model, 2000)
    temporary_path(file).write_bytes(b"half a mean")
    assert baseline_file.forget(file)
    assert list(file.parent.iterdir()) == []
    assert not baseline_file.forget(file)
    assert not baseline_file.forget(file.parent / "absent" / "x.baseline.json")


def test_switched_off_nothing_is_kept(
    tmp_path: Path, model: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    room = baseline_store.open_store(settings(tmp_path), model)
    assert room is not None
    hear(room, 30)
    room.close()
    assert kept(tmp_path / "kitchen.baseline.json") == 30
    assert baseline_store.open_store(settings(tmp_path, **{"baseline.enabled": False}), model) is None
    assert list(tmp_path.iterdir()) == []
    assert codes(caplog)[-2:] == ["baseline_off", "baseline_removed"]


def test_a_bundle_with_an_absolute_head_has_no_baseline_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absolute = bundle.load(tiny.make(tmp_path / "absolute"))
    assert baseline_store.open_store(settings(tmp_path), absolute) is None
    assert codes(caplog) == ["baseline_off"]


def test_the_memory_of_the_configuration_is_used(tmp_path: Path, model: Bundle) -> None:
    room = baseline_store.open_store(settings(tmp_path, **{"baseline.memory": 100}), model)
    assert room is not None
    hear(room, 2000)
    assert room.baseline.to_state().weight == pytest.approx(100, rel=1e-3)


def test_a_long_life_takes_no_more_memory(file: Path, model: Bundle) -> None:
    room, result = BaselineStore(file, model, 2000), said()
    hear(room, 100)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20_000):
            room.update(result, GOOD)
        assert tracemalloc.get_traced_memory()[0] - before < 4096
    finally:
        tracemalloc.stop()
