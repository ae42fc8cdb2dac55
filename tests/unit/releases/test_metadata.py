"""Which release a box takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
        target(3, tier="small"),
        target(4, percent=0),
    ]
    told = "base-1.0.4, release 4, is not meant for this box, or not yet"
    assert choose(others, HERE) == metadata.Choice(None, None, elsewhere=told)
    assert choose(others, replace(HERE, channel="beta")).target is others[1]
    assert choose([target(5, "2.0.0")], replace(HERE, pin="1.0.0")).target is None


def test_a_hash_that_was_rolled_back_is_never_tried_again_under_any_number() -> None:
    first = target(1, "1.0.0")
    again = target(7, "1.0.0", data=b"other packing of the same model")
    found = choose([again], replace(HERE, bad={first.release.model_sha256}))
    assert found.target is None
    assert "not tried again" in found.why_not


def test_a_roll_out_grows_without_losing_anyone() -> None:
    names = [f"room-{n}" for n in range(1000)]
    at = {p: {n for n in names if target(1, percent=p).release.reaches(n)} for p in (10, 20, 100)}
    assert at[10] < at[20] < at[100] == set(names)
    assert 60 < len(at[10]) < 140


@pytest.mark.parametrize("custom", [None, {}, {"roomtone": 1}, {"roomtone": {"release": -1}}, []])
def test_signed_nonsense_is_refused(custom) -> None:
    with pytest.raises(UserError, match="not that of a release"):
        metadata.read("base-1.0.0.1.tar", custom)
