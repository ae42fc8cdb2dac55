"""Which release a box takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.releases import metadata
from edge.releases.metadata import choose
from edge.util.errors import UserError
from tests.support.site.releases import HERE, target


def test_the_highest_release_above_the_floor_is_taken_whatever_its_version() -> None:
    # Release 3 brings old bytes back: the operator's roll-back.
    targets = [target(1, "1.0.0"), target(2, "1.1.0"), target(3, "1.0.0")]
    found = choose(targets, replace(HERE, floor=2))
    assert found.target is targets[2]
    assert choose(targets, replace(HERE, floor=3)).target is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"min_daemon": "99.0.0"}, "needs roomtone 99.0.0 or newer"),
        ({"runtimes": ("tflite-runtime",)}, "needs tflite-runtime, here is litert"),
        ({"architectures": ("armv7l",)}, "is for armv7l, this is aarch64"),
    ],
)
def test_what_cannot_run_here_is_refused_with_the_reason_and_the_next_one_taken(changes, says) -> None:
    found = choose([target(1), target(2, **changes)], HERE)
    assert says in found.why_not
    assert found.target is not None
    assert found.target.release.release == 1


def test_other_boxes_channels_tiers_and_pins_are_none_of_our_business() -> None:
    others = [
        target(1, nodes=("study",)),
        target(2, channel="beta"),
        target(3, family="small"),
        target(4, percent=0),
    ]
    told = "base-1.0.4, release 4, is not meant for this device, or not yet"
    assert choose(others, HERE) == metadata.Choice(None, None, elsewhere=told)
    assert choose(others, replace(HERE, channel="beta")).target is others[1]
    assert choose([target(5, "2.0.0")], replace(HERE, pin="1.0.0")).target is None


def test_a_hash_that_was_rolled_back_is_never_tried_again_under_any_number() -> None:
    first = target(1, "1.0.0")
    again = target(7, "1.0.0", data=b"other packing of the same model")
    found = choose([again], replace(HERE, refused={first.release.model_sha256}))
    assert found.target is None
    assert "not installed again" in found.why_not


def test_a_roll_out_grows_without_losing_anyone() -> None:
    names = [f"room-{n}" for n in range(1000)]
    at = {p: {n for n in names if target(1, percent=p).release.reaches(n)} for p in (10, 20, 100)}
    assert at[10] < at[20] < at[100] == set(names)
    assert 60 < len(at[10]) < 140


@pytest.mark.parametrize("custom", [None, {}, {"roomtone": 1}, {"roomtone": {"release": -1}}, []])
def test_signed_nonsense_is_refused(custom) -> None:
    with pytest.raises(UserError, match="not that of a release"):
        metadata.read("base-1.0.0.1.tar", custom)


nodes = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)


@given(nodes, st.integers(1, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_roll_out_that_grows_never_loses_a_device(node: str, number: int) -> None:
    place = metadata.bucket(node, number)
    assert 0 <= place < 100
    reached = [target(number, percent=percent).release.reaches(node) for percent in range(101)]
    assert reached == [percent > place for percent in range(101)]
    assert (reached[0], reached[100]) == (False, True)


@given(st.integers(1, 2**31), st.integers(1, 99))
@settings(max_examples=30, deadline=None)
def test_the_share_of_the_devices_is_the_percentage(number: int, percent: int) -> None:
    """Of 2,000 devices, within five standard deviations of a fair draw."""
    release = target(number, percent=percent).release
    share = sum(release.reaches(f"room-{n}") for n in range(2000)) / 2000
    fair = percent / 100
    assert abs(share - fair) <= 5 * (fair * (1 - fair) / 2000) ** 0.5


@given(st.integers(1, 2**30))
@settings(max_examples=30, deadline=None)
def test_each_release_draws_its_own_first_devices(number: int) -> None:
    """Otherwise the same devices would be the first to get every release."""
    first, second = (target(n, percent=10).release for n in (number, number + 1))
    both = sum(first.reaches(f"room-{n}") and second.reaches(f"room-{n}") for n in range(2000))
    assert both <= 20 + 5 * 20**0.5
