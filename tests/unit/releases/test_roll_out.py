"""The stages of a push, and how it stops by itself."""

from __future__ import annotations

import pytest

from edge.protocol import ModelStatus
from edge.util.errors import UserError
from provisioning.publish.plan import Plan, parse_duration, parse_stages
from provisioning.publish.progress import device_states
from provisioning.publish.push import HaltedError, refuse_other_family, roll_out, summary
from provisioning.publish.watch import Clock, StageResult
from tests.support.site.releases import target

NODES = tuple(f"room-{n}" for n in range(40))
ABOUT = target(7, "1.1.0").release


def good() -> ModelStatus:
    return ModelStatus(installed_version="1.1.0", latest_version="1.1.0", model="base-1.1.0", release=7)


def old(**changes: object) -> ModelStatus:
    return ModelStatus(
        **({"installed_version": "1.0.0", "latest_version": "1.0.0", "model": "base-1.0.0"} | changes)
    )


class Boxes:
    """A fleet that does as it is told: `sick` boxes roll back, all others are good as soon as it is announced."""

    def __init__(self, sick: int = 0) -> None:
        self.sick = set(NODES[:sick])
        self.percent = 0
        self.signed: list[int] = []
        self.time = 0.0

    def sign(self, percent: int) -> int:
        self.percent = percent
        self.signed.append(percent)
        return len(self.signed)

    def announce(self, timestamp_version: int) -> None:
        assert timestamp_version == len(self.signed)

    def online(self) -> set[str]:
        return set(NODES)

    def statuses(self) -> dict[str, ModelStatus]:
        import msgspec

        about = msgspec.structs.replace(ABOUT, percent=self.percent)
        bad = old(error="base-1.1.0 rolled back: collapsed", refused=7)
        return {n: (bad if n in self.sick else good()) if about.reaches(n) else old() for n in NODES}

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)

    def push(self, plan: Plan) -> StageResult:
        return roll_out(plan, self.sign, self, lambda _: None, self.clock)


def test_the_stages_follow_one_another_when_all_boxes_are_good() -> None:
    boxes = Boxes()
    boxes.push(Plan(ABOUT, (), (10, 50, 100), 3600, 0.1))
    assert boxes.signed == [10, 50, 100]
    assert boxes.time < 120, "nobody waits for the end of a stage in which everybody is done"


def test_it_halts_and_no_further_box_is_meant_when_a_share_rolls_back() -> None:
    boxes = Boxes(sick=40)
    with pytest.raises(HaltedError, match="halted at 10 %"):
        boxes.push(Plan(ABOUT, (), (10, 100), 3600, 0.1))
    assert boxes.signed == [10, 0]


def test_a_single_bad_box_among_many_stops_nobody() -> None:
    boxes = Boxes(sick=1)
    boxes.push(Plan(ABOUT, (), (50, 100), 3600, 0.1))
    assert boxes.signed == [50, 100]


def test_a_release_of_a_family_that_no_device_runs_says_so_soon() -> None:
    class Small(Boxes):
        def statuses(self) -> dict[str, ModelStatus]:
            return {n: old(model="small-1.0.0") for n in NODES}

    boxes = Small()
    with pytest.raises(UserError, match=r"room-0 runs small-1\.0\.0") as refused:
        boxes.push(Plan(ABOUT, (), (10, 100), 3600, 0.1))
    assert not isinstance(refused.value, HaltedError)
    assert boxes.time < 60


def test_before_anything_is_signed_a_family_that_no_device_runs_is_refused() -> None:
    boxes = Boxes()
    with pytest.raises(UserError, match=r"nothing is signed: room-0 runs base-1\.0\.0"):
        refuse_other_family("small", (), boxes, boxes.clock)
    refuse_other_family("base", (), boxes, boxes.clock)
    # A device of which nothing is known yet may run it.
    refuse_other_family("small", ("attic",), boxes, boxes.clock)


def test_a_device_that_cannot_check_is_not_called_good_although_it_runs_a_model_of_that_name() -> None:
    class Unset(Boxes):
        def statuses(self) -> dict[str, ModelStatus]:
            same = {"model": "base-1.1.0", "installed_version": "1.1.0", "latest_version": "1.1.0"}
            return {"room-1": old(**same, error="the clock is not synchronised"), "room-2": old(**same)}

    boxes = Unset()
    last = boxes.push(Plan(ABOUT, (), (100,), 60, 0.1))
    assert (last.passed, last.failed) == (("room-2",), ())
    assert last.pending == {"room-1": "failing: the clock is not synchronised"}
    text = summary("base-1.1.0", last)
    assert "1 of 2 devices run it" in text and "room-1 (failing: the clock is not synchronised)" in text


def test_a_release_of_which_no_device_has_reported_is_not_said_to_run_anywhere() -> None:
    class Nobody(Boxes):
        def statuses(self) -> dict[str, ModelStatus]:
            return {}

    assert "no device has reported" in summary("base-1.1.0", Nobody().push(Plan(ABOUT, (), (100,), 60, 0.1)))


def test_a_box_that_is_away_is_shown_and_waited_for_only_so_long() -> None:
    class Away(Boxes):
        def online(self) -> set[str]:
            return set()

        def statuses(self) -> dict[str, ModelStatus]:
            return {n: old() for n in NODES}

    boxes = Away()
    boxes.push(Plan(ABOUT, (), (100,), 600, 0.1))
    assert 600 <= boxes.time < 610
    assert {what for what, _ in device_states(ABOUT, boxes.statuses(), boxes.online()).values()} == {
        "offline"
    }


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("2d", 172_800)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_stages_have_to_grow() -> None:
    from edge.util.errors import UserError

    for percent, then in ((0, ()), (50, (10,)), (50, (50,)), (50, (101,))):
        with pytest.raises(UserError):
            parse_stages(percent, then)
    with pytest.raises(UserError, match="--wait"):
        parse_duration("soon")
