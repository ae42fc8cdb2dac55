"""Waiting between attempts to connect."""

import random
import statistics

import pytest

from edge.mqtt.reconnect import CAP_S, Backoff


def test_no_wait_is_longer_than_the_cap_and_none_is_short():
    backoff = Backoff(random.Random(1))
    waits = [backoff.next() for _ in range(1000)]
    assert min(waits) >= 2
    assert 50 < max(waits) <= CAP_S


def test_windows_grow_and_begin_anew_after_a_reset():
    backoff = Backoff(random.Random(1))
    for window in (6, 9, 13.5, 20.25):
        assert window / 3 <= backoff.next() <= window
    backoff.reset()
    assert backoff.next() <= 6


def test_the_same_seed_waits_alike_and_another_does_not():
    def waits(seed):
        return [Backoff(random.Random(seed)).next() for _ in range(3)]

    assert waits(1) == waits(1) != waits(2)


def connects(links, outage_s):
    """When each of many links, that lose their broker at 0, connects again: the first attempt after the outage."""
    found = []
    for seed in range(links):
        backoff, now = Backoff(random.Random(seed)), 0.0
        while now <= outage_s:
            now += backoff.next()
        found.append(now)
    return found


def peak_over_mean(times):
    """Of the rate of connects, in twentieths of the time in which all but the first and last 1 % come back."""
    cuts = statistics.quantiles(times, n=100)
    low, high = cuts[0], cuts[-1]
    bins = [0] * 20
    for time in times:
        if low <= time < high:
            bins[int((time - low) / (high - low) * 20)] += 1
    return max(bins) / statistics.mean(bins)


@pytest.mark.parametrize("outage", [0, 2, 5, 10, 20, 30, 60, 300, 3600])
def test_a_thousand_links_that_lose_one_broker_at_once_come_back_spread_out(outage):
    times = connects(1000, outage)
    assert peak_over_mean(times) < 3
    assert max(times) - outage <= CAP_S
