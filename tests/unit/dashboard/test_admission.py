import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.recorder.admission import (
    EVENTS_PER_S,
    INITIAL_EVENTS,
    LONGEST_ABSENCE_S,
    MAX_REPLAY,
    Admission,
    RefusedRanges,
)


class Clock:
    def __init__(self):
        self.at = 1000.0

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


def admitted(admission, node, events):
    return sum(admission.admits(node) for _ in range(events))


def test_a_new_device_may_send_what_it_kept_and_then_as_fast_as_people_speak(clock):
    admission = Admission(lambda nodes: {}, clock, lambda: 0.0)
    assert admitted(admission, "kitchen", INITIAL_EVENTS + 500) == INITIAL_EVENTS
    clock.at += 30
    assert admitted(admission, "kitchen", 500) == 30 * EVENTS_PER_S


def test_an_absence_is_made_up_for(clock):
    admission = Admission(lambda nodes: {}, clock, lambda: 0.0)
    admitted(admission, "kitchen", INITIAL_EVENTS)
    clock.at += 86_400
    assert admitted(admission, "kitchen", 500_000) == 86_400 * EVENTS_PER_S


@pytest.mark.parametrize("absence", [0, 3600, 86_400, 30 * 86_400])
def test_an_absence_before_this_start_counts_for_a_week_at_most(clock, absence):
    admission = Admission(lambda nodes: dict.fromkeys(nodes, 1e9 - absence), clock, lambda: 1e9)
    expected = INITIAL_EVENTS + EVENTS_PER_S * min(absence, LONGEST_ABSENCE_S)
    assert admitted(admission, "kitchen", round(expected) + 1000) == expected


def test_a_clock_that_was_ahead_shortens_nothing(clock):
    admission = Admission(lambda nodes: dict.fromkeys(nodes, 1e9 + 1000), clock, lambda: 1e9)
    assert admitted(admission, "kitchen", INITIAL_EVENTS + 10) == INITIAL_EVENTS


def test_a_requested_replay_is_let_in_and_no_more(clock):
    admission = Admission(lambda nodes: {}, clock, lambda: 0.0)
    admitted(admission, "kitchen", INITIAL_EVENTS)
    admission.allow_replay("kitchen", 40)
    assert admitted(admission, "kitchen", 100) == 40
    admission.allow_replay("kitchen", 10**12)
    assert admitted(admission, "kitchen", MAX_REPLAY + 100) == MAX_REPLAY


def test_devices_do_not_share_a_budget(clock):
    admission = Admission(lambda nodes: {}, clock, lambda: 0.0)
    admitted(admission, "kitchen", INITIAL_EVENTS + 1)
    assert admission.admits("study")


@given(st.lists(st.floats(0, 100), max_size=60))
def test_never_more_than_elapsed_time_explains(pauses):
    clock = Clock()
    admission = Admission(lambda nodes: {}, clock, lambda: 0.0)
    begun, total = clock.at, admitted(admission, "kitchen", INITIAL_EVENTS)
    for pause in pauses:
        clock.at += pause
        total += admitted(admission, "kitchen", 300)
        assert total <= INITIAL_EVENTS + EVENTS_PER_S * (clock.at - begun) + 1e-6


def test_a_flood_is_one_gap_and_many_boots_are_bounded():
    refused = RefusedRanges()
    for seq in (7, 8, 9, 12, 10):
        refused.add("kitchen", "00000001", seq)
    assert refused.items() == [("kitchen", "00000001", 7, 12)]
    for boot in range(1000):
        refused.add("kitchen", f"{boot:08x}", 1)
    assert len(refused.items()) == RefusedRanges.MAX_PER_DEVICE
    assert refused.changed
    refused.clear()
    assert refused.items() == []


def test_the_devices_of_a_batch_are_looked_up_at_once_and_only_once(clock):
    asked = []

    def last_received(nodes):
        asked.append(list(nodes))
        return {"hall": 1e9 - 3600}

    admission = Admission(last_received, clock, lambda: 1e9)
    admission.prepare(["kitchen", "hall", "kitchen"])
    admission.prepare(["hall"])
    assert admission.admits("study")
    assert admitted(admission, "hall", 100_000) == INITIAL_EVENTS + 3600 * EVENTS_PER_S
    assert admitted(admission, "kitchen", 100_000) == INITIAL_EVENTS
    assert asked == [["kitchen", "hall"], ["study"]]
