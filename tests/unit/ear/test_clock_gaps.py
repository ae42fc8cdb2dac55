"""Holes in what a device gives are found by the clock."""

import random

import pytest

from edge.ear.capture.clock_gaps import GapDetector

BLOCK_S = 0.032


def holes(times):
    """How many are found when a block is read at each of these times."""
    gaps = GapDetector(0.0)
    return sum(gaps.add_read(BLOCK_S, at) for at in times)


def steady(seconds, clock=1.0, late=0.0, seed=0):
    rng = random.Random(seed)
    return [(n + 1) * BLOCK_S / clock + rng.random() * late for n in range(int(seconds / BLOCK_S))]


def test_a_steady_device_has_none():
    assert holes(steady(60)) == 0


@pytest.mark.parametrize("clock", [0.97, 0.999, 1.001, 1.03])
def test_a_clock_that_is_slow_or_fast_is_no_hole(clock):
    assert holes(steady(600, clock)) == 0


def test_reads_that_come_late_and_catch_up_are_no_hole():
    assert holes(steady(60, late=0.2)) == 0
    # Nothing is read for half a second, and then all of it at once.
    times = [max(at, 20.5) if 20 < at < 20.5 else at for at in steady(60)]
    assert holes(times) == 0


@pytest.mark.parametrize("hole_s", [0.1, 0.5, 3.0])
def test_each_hole_counts_once(hole_s):
    times = [at + hole_s * ((at > 20) + (at > 40)) for at in steady(60)]
    assert holes(times) == 2


def test_a_clock_that_is_fast_is_no_fault_even_after_a_day():
    gaps = GapDetector(0.0)
    for n in range(1, 24 * 3600):
        gaps.add_read(1.0002, n)
        assert not gaps.too_fast


def test_a_device_that_makes_sound_up_is_found():
    gaps = GapDetector(0.0)
    found = 0
    for n in range(200):
        gaps.add_read(BLOCK_S, n * 0.001)
        found += gaps.too_fast
    assert found > 0
    # So much may come at once after a pause.
    gaps = GapDetector(0.0)
    for n in range(90):
        gaps.add_read(BLOCK_S, 2.9 + n * 0.001)
        assert not gaps.too_fast
