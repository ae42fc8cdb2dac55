"""Events that are missing at the end: asked for by what the device states, and recorded when they do not come."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from dashboard.db import retention
from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import clock, lost
from dashboard.recorder.gaps import REPLAY_TIMEOUTS_MS, Gap
from dashboard.recorder.tails import GRACE_MS, TailTracker
from dashboard.recorder.writer import Received, Writer
from edge.protocol import LastEvent
from tests.support.messages import BOOT, event_of

NOW = 1_770_000_000_000


@pytest.fixture
def engine(place):
    engine = connect(place)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(clock.insert().values(id=1, guarded=round(time.time() * 1000)))
    yield engine
    engine.dispose()


class World:
    """A tracker, the requests that it makes, and whether the device is connected."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.online = True
        self.requested: list[Gap] = []
        self.tails = TailTracker(engine, lambda node: self.online, self._request)

    def _request(self, gap: Gap) -> bool:
        self.requested.append(gap)
        return True

    def store(self, *numbers: int) -> None:
        Writer(self.engine).write(
            [Received("kitchen", event_of("happy", NOW / 1000, seq=n), NOW) for n in numbers]
        )

    def lost(self) -> list[tuple[int, int]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(select(lost.c.from_seq, lost.c.to_seq))]


@pytest.fixture
def world(engine):
    return World(engine)


def test_what_is_missing_at_the_end_is_asked_for_after_a_while(world):
    world.store(1, 2, 3)
    world.tails.note("kitchen", LastEvent(BOOT, 7), NOW)
    assert world.tails.check(NOW + GRACE_MS - 1) == []
    assert world.tails.check(NOW + GRACE_MS) == [Gap("kitchen", BOOT, 4, 7)]
    world.store(4, 5, 6, 7)
    assert world.tails.check(NOW + GRACE_MS + REPLAY_TIMEOUTS_MS[0]) == []
    assert world.lost() == []


def test_what_has_arrived_is_not_asked_for(world):
    world.store(1, 2, 3)
    world.tails.note("kitchen", LastEvent(BOOT, 3), NOW)
    assert world.tails.check(NOW + GRACE_MS) == []


def test_what_never_comes_is_recorded_as_lost_after_three_requests(world):
    world.store(1, 2, 3)
    world.tails.note("kitchen", LastEvent(BOOT, 5), NOW)
    now = NOW + GRACE_MS
    for wait in REPLAY_TIMEOUTS_MS:
        assert world.tails.check(now) == [Gap("kitchen", BOOT, 4, 5)]
        assert world.tails.check(now + wait - 1) == []
        now += wait
    assert world.tails.check(now) == []
    assert world.lost() == [(4, 5)]
    world.tails.note("kitchen", LastEvent(BOOT, 5), now)
    assert world.tails.check(now + GRACE_MS) == []
    assert world.lost() == [(4, 5)]


def test_a_device_that_is_away_is_asked_when_it_is_back_and_given_up_after_a_day(world):
    world.store(1)
    world.tails.note("kitchen", LastEvent(BOOT, 2), NOW)
    world.online = False
    assert world.tails.check(NOW + 3_600_000) == []
    world.online = True
    assert world.tails.check(NOW + 3_600_001) == [Gap("kitchen", BOOT, 2, 2)]
    world.online = False
    world.tails.check(NOW + 86_400_000)
    assert world.lost() == [(2, 2)]


def test_a_device_whose_gap_is_being_replayed_is_not_disturbed(world):
    world.store(1)
    world.tails.note("kitchen", LastEvent(BOOT, 2), NOW)
    assert world.tails.check(NOW + GRACE_MS, {"kitchen"}) == []


def test_what_was_erased_is_not_asked_for(world, engine):
    world.store(1, 2, 3)
    retention.erase_room(engine, "kitchen")
    world.tails.note("kitchen", LastEvent(BOOT, 3), NOW)
    assert world.tails.check(NOW + GRACE_MS) == []


def test_of_a_boot_that_is_not_known_nothing_is_asked_for(world):
    world.store(1)
    world.tails.note("kitchen", LastEvent("00c0ffee", 9), NOW)
    assert world.tails.check(NOW + GRACE_MS) == []
    assert world.lost() == []


def test_a_number_that_is_not_plausible_asks_for_no_more_than_a_device_keeps(world):
    world.store(1)
    world.tails.note("kitchen", LastEvent(BOOT, 2**53 - 1), NOW)
    (gap,) = world.tails.check(NOW + GRACE_MS)
    assert gap.to_seq - gap.from_seq < 10_000
