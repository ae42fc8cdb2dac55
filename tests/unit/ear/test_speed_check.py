"""The comparison of the model's speed with plain arithmetic: once, and only for what is slow."""

from __future__ import annotations

import pytest

from edge.ear.speed_check import SLOW_S, SpeedCheck
from edge.inference import pace


def test_a_slow_model_is_compared_once_also_after_a_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    def measure(seconds: float) -> pace.Pace:
        measured.append(seconds)
        return pace.Pace(1.0, True)

    monkeypatch.setattr(pace, "measure", measure)
    check = SpeedCheck()
    for seconds in (SLOW_S / 2, 2 * SLOW_S, 3 * SLOW_S):
        check.add(seconds)
        check.run()
        check.run()
    assert measured == [2 * SLOW_S]
