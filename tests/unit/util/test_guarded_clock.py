"""The clock for everything that deletes, expires or signs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.util.guarded_clock import ALLOWANCE_S, CATCH_UP, GuardedClock

DAY = 86_400.0
START = 1_800_000_000.0


class Machine:
    """A wall clock and a steady clock."""

    def __init__(self) -> None:
        self.wall, self.steady, self.synced = START, 1000.0, True

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def guard(self, reference: float | None = START, **more: float) -> GuardedClock:
        return GuardedClock(
            reference,
            wall=lambda: self.wall,
            steady=lambda: self.steady,
            is_synced=lambda: self.synced,
            **more,
        )


def test_a_right_clock_is_followed() -> None:
    machine = Machine()
    guard = machine.guard()
    for _ in range(100):
        machine.passes(3600)
        assert guard.now() == machine.wall
    assert guard.ahead_s() == 0


def test_a_clock_that_jumps_ahead_is_believed_slowly_and_reported(caplog) -> None:
    machine = Machine()
    guard = machine.guard()
    machine.wall += 400 * DAY
    machine.passes(60)
    assert guard.now() <= START + 60 * CATCH_UP
    assert guard.ahead_s() > 399 * DAY
    assert caplog.text.count("[clock_jump]") == 1
    machine.passes(3600)
    assert guard.now() <= START + 2 * DAY


def test_a_clock_that_no_time_service_keeps_is_not_believed_at_all() -> None:
    machine = Machine()
    machine.synced = False
    guard = machine.guard()
    machine.wall += 400 * DAY
    machine.passes(10 * DAY)
    assert guard.now() == START + 10 * DAY


def test_a_machine_that_was_off_for_a_week_is_right_after_hours() -> None:
    machine = Machine()
    guard = machine.guard(START - 7 * DAY)
    assert guard.now() == START - 7 * DAY + ALLOWANCE_S
    machine.passes(8 * 3600)
    assert guard.now() == machine.wall


def test_a_clock_that_is_set_back_is_followed_and_may_not_jump_again() -> None:
    machine = Machine()
    guard = machine.guard()
    machine.wall += 400 * DAY
    machine.passes(10 * 3600)
    assert guard.now() > START + 9 * DAY
    machine.wall = START + 10 * 3600
    assert guard.now() == machine.wall
    machine.wall += 400 * DAY
    machine.passes(1)
    assert guard.now() <= START + 11 * 3600


def test_without_a_reference_the_present_time_is_taken() -> None:
    assert Machine().guard(None).now() == START


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9), st.booleans()), max_size=30))
@settings(deadline=None)
def test_it_is_never_ahead_of_the_clock_or_of_the_bound_of_monotonic_progress(steps) -> None:
    machine = Machine()
    guard = machine.guard()
    for seconds, jump, is_synced in steps:
        machine.wall += jump
        machine.synced = is_synced
        machine.passes(seconds)
        now = guard.now()
        assert now <= machine.wall
        assert now <= START + ALLOWANCE_S + CATCH_UP * (machine.steady - 1000.0) + 1e-3
