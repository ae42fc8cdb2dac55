"""Roll-out buckets: 0 to 99, even over devices, and another draw for every release."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.releases.metadata import bucket

NODES = st.text(min_size=1, max_size=64)
RELEASES = st.integers(1, 10**9)


@given(NODES, RELEASES)
def test_a_device_has_one_bucket_for_a_release_on_every_computer(node: str, release: int) -> None:
    assert bucket(node, release) == bucket(node, release)
    assert 0 <= bucket(node, release) <= 99


@settings(max_examples=25)
@given(RELEASES)
def test_the_buckets_of_many_devices_are_even(release: int) -> None:
    """10,000 devices: chi-squared of 100 buckets is below 186 but once in ten million draws."""
    counts = Counter(bucket(f"room-{number}", release) for number in range(10_000))
    assert sum((counts[number] - 100) ** 2 / 100 for number in range(100)) < 186


@settings(max_examples=25)
@given(NODES)
def test_no_device_is_always_among_the_first(node: str) -> None:
    """Over 2,000 releases its mean bucket is 49.5 with a standard error of 0.65: six of those are allowed."""
    drawn = [bucket(node, release) for release in range(1, 2001)]
    assert abs(sum(drawn) / len(drawn) - 49.5) < 4


@settings(max_examples=25)
@given(RELEASES)
def test_two_releases_do_not_draw_the_same_devices(release: int) -> None:
    first = {node for node in range(2000) if bucket(f"room-{node}", release) < 10}
    second = {node for node in range(2000) if bucket(f"room-{node}", release + 1) < 10}
    assert len(first & second) < 60


def test_the_buckets_are_those_that_devices_in_the_field_compute() -> None:
    """A change would move devices in the middle of a roll-out."""
    assert [bucket("kitchen", release) for release in (1, 2, 3)] == [75, 37, 20]
