"""Back-off between quick restarts: the first are free, then it doubles to a minute; a life that lasts clears it."""

from pathlib import Path

import pytest

from edge.util.service import restarts
from edge.util.service.restarts import Restarts
from edge.util.service.runtime_dir import runtime_dir


def test_quick_deaths_cost_more_and_more_up_to_a_minute(tmp_path: Path) -> None:
    waits = [Restarts(tmp_path).begin() for _ in range(12)]
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_life_that_lasted_clears_the_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        Restarts(tmp_path).begin()
    life = Restarts(tmp_path)
    assert life.begin() > 0
    life.alive()
    assert Restarts(tmp_path).begin() > 0
    now = restarts.time.monotonic()
    monkeypatch.setattr(restarts.time, "monotonic", lambda: now + restarts.LONGEST_S + restarts.LASTED_S + 1)
    life.alive()
    assert Restarts(tmp_path).begin() == 0


def test_an_end_in_good_order_is_no_failure(tmp_path: Path) -> None:
    for _ in range(10):
        life = Restarts(tmp_path)
        assert life.begin() == 0
        life.clear()


@pytest.mark.parametrize("content", ["", "x", "-3", "9" * 400])
def test_a_damaged_count_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "restarts").write_text(content)
    assert 0 <= Restarts(tmp_path).begin() <= restarts.LONGEST_S


def test_without_a_service_manager_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert runtime_dir() is None
    assert [Restarts(None).begin() for _ in range(10)] == [0.0] * 10


def test_a_folder_that_cannot_be_written_is_said_and_no_obstacle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Restarts(tmp_path / "missing").begin() == 0
    assert "no back-off" in caplog.text


def test_the_wait_before_a_start_is_no_run_that_lasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(9):
        life = Restarts(tmp_path)
        wait = life.begin()
    assert wait > restarts.LASTED_S
    begun = restarts.time.monotonic()
    monkeypatch.setattr(restarts.time, "monotonic", lambda: begun + wait + 1)
    life.alive()
    assert Restarts(tmp_path).begin() > 0
