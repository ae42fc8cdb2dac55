"""The rate limiter: never more than the burst at once, never more than the rate in the long run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.util.rate_limit import TokenBucket

RATES = st.floats(0.1, 1000)
BURSTS = st.integers(1, 200)
PAUSES = st.lists(st.floats(0, 30), max_size=60)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def drain(bucket, limit):
    """How many can be taken at this moment."""
    return next(n for n in range(limit) if bucket.take() > 0)


@given(RATES, BURSTS, st.floats(0, 1e6))
def test_no_pause_saves_up_more_than_the_burst(rate, burst, pause):
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    assert drain(bucket, burst + 2) == burst
    clock.now += pause
    assert drain(bucket, burst + 2) <= burst


@given(RATES, BURSTS, PAUSES)
def test_over_any_time_no_more_than_the_burst_and_the_rate(rate, burst, pauses):
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        taken += bucket.take() == 0.0
        assert taken <= burst + rate * (clock.now - 1000.0) + 1e-6


@given(RATES, BURSTS)
def test_the_whole_burst_is_available_again_after_burst_over_rate(rate, burst):
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    drain(bucket, burst + 2)
    clock.now += burst / rate + 1e-6
    assert drain(bucket, burst + 2) == burst


@given(RATES, BURSTS)
def test_whoever_waits_as_told_gets_a_token(rate, burst):
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    drain(bucket, burst + 2)
    wait = bucket.take()
    assert 0 < wait <= 1 / rate + 1e-9
    clock.now += wait
    assert bucket.take() == 0.0
    assert bucket.take() > 0


@given(RATES, BURSTS, PAUSES)
def test_asking_takes_nothing(rate, burst, pauses):
    clock = Clock()
    asked, silent = TokenBucket(rate, burst, clock), TokenBucket(rate, burst, clock)
    for pause in pauses:
        clock.now += pause
        asked.wait_s()
        assert asked.take() == pytest.approx(silent.take(), abs=1e-6)
