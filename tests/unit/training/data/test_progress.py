"""How far a long loop is, where standard error is a file: a line now and then, with an estimate."""

from __future__ import annotations

import logging

import pytest

from training.data import progress as module
from training.data.progress import Progress


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which the test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    return now


def test_a_long_loop_says_how_far_it_is(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in Progress(range(10), "encoder", "part"):
        seconds[0] += 15.0
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "encoder: 2 of 10 parts, about 2 min left"
    assert lines[-1] == "encoder: 8 of 10 parts, about 30 s left"
    assert len(lines) == 4


def test_what_was_done_before_counts_and_a_note_is_shown(
    seconds: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    steps = Progress(iter(range(3)), "stage 1", "step", total=10, done=7)
    for _ in steps:
        seconds[0] += 30.0
        steps.note("loss 0.500")
    assert [record.getMessage() for record in caplog.records] == [
        "stage 1: 8 of 10 steps, about 60 s left, loss 0.500",
        "stage 1: 9 of 10 steps, about 30 s left, loss 0.500",
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_short_or_quiet_loop_says_nothing(
    seconds: list[float], caplog: pytest.LogCaptureFixture, quiet: bool
) -> None:
    caplog.set_level(logging.INFO)
    for _ in Progress(range(10), "encoder", "part", quiet=quiet):
        seconds[0] += 100.0 if quiet else 1.0
    assert not caplog.records
    assert list(Progress([], "encoder", "part")) == []
