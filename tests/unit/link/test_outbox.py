"""When an event goes, when the ear may forget it, when we may; the clock is the test's."""

import json

import pytest

from edge.link.delivery.journal import Journal
from edge.link.delivery.outbox import DRAIN_PER_SECOND, UNHEARD_KEEP_S, WINDOW, Outbox
from edge.link.delivery.spool import Spool
from edge.mqtt.reason_codes import NO_MATCHING_SUBSCRIBERS
from tests.support.log_codes import codes
from tests.support.messages import BOOT, event


class World:
    """A spool on a real disk, a journal, and a broker that answers when the test says so."""

    def __init__(self, folder, limit=1000):
        self.now = 0.0
        self.folder, self.limit = folder, limit
        self.sent = []
        self.payloads = []
        self.acks = []
        self.begin()

    def begin(self):
        journal = Journal(self.folder / "journal", self.wall)
        spool = Spool(
            self.folder / "spool",
            self.limit,
            7 * 86_400,
            self.wall,
            journal.last_n + 1,
            steady=lambda: self.now,
        )
        self.outbox = Outbox(spool, journal, self.send, self.acks.append, lambda: self.now)

    def wall(self):
        return 1_800_000_000 + self.now

    def send(self, entry):
        self.sent.append(entry.seq)
        self.payloads.append(json.loads(entry.payload))
        return len(self.sent) - 1

    def pass_time(self, seconds, step=0.25):
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.outbox.tick()

    def answer(self, code=0):
        """The broker answers all that it has not answered yet."""
        for number in range(len(self.sent)):
            self.outbox.on_acknowledged(number, code)

    @property
    def on_disk(self):
        return (self.folder / "spool").exists()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def accept(world, *seqs):
    events = [event(seq) for seq in seqs]
    for one in events:
        world.outbox.accept(one)
    return [one.id for one in events]


def test_an_event_is_acknowledged_when_the_broker_has_taken_it_and_not_before(world):
    world.outbox.connected(True)
    ids = accept(world, 1)
    assert (world.sent, world.acks) == ([1], [])
    world.answer()
    assert (world.acks, world.on_disk, world.outbox.waiting) == (ids, False, 0)


def test_a_broker_that_does_not_answer_for_half_a_second_sends_events_to_disk(world):
    world.outbox.connected(True)
    ids = accept(world, 1)
    world.pass_time(0.5)
    assert world.acks == []
    world.pass_time(0.25)
    assert (world.acks, world.on_disk) == (ids, True)
    ids += accept(world, 2)
    assert world.acks == ids
    world.answer()
    world.answer()
    assert world.outbox.waiting == 0
    # All is well again: the next event stays off the disk.
    accept(world, 3)
    assert world.acks == ids
    world.answer()
    assert len(world.acks) == 3


def test_what_was_on_the_way_when_the_connection_broke_goes_again_in_order(world):
    world.outbox.connected(True)
    accept(world, 1, 2, 3)
    world.outbox.on_acknowledged(0, 0)
    world.outbox.disconnected()
    accept(world, 4)
    world.outbox.connected(True)
    assert world.sent == [1, 2, 3, 2, 3, 4]


def test_a_new_connection_waits_for_no_answer_of_the_one_before(world):
    """As where the client has connected again before it said that the first connection was lost."""
    world.outbox.connected(True)
    accept(world, *range(1, WINDOW + 5))
    assert len(world.sent) == WINDOW
    world.sent.clear()
    world.outbox.connected(True)
    assert world.sent[:2] == [1, 2]


def test_only_so_many_are_on_the_way_at_once_and_a_backlog_drains_at_a_limited_rate(world):
    accept(world, *range(1, 201))
    world.pass_time(1)
    world.outbox.connected(True)
    assert world.sent == list(range(1, WINDOW + 1))
    for _ in range(8):
        before = len(world.sent)
        for _ in range(10):
            world.answer()
        world.pass_time(0.25)
        if before > DRAIN_PER_SECOND:
            assert len(world.sent) - before <= DRAIN_PER_SECOND / 4 + 2
    while world.outbox.waiting:
        world.answer()
        world.pass_time(0.25)
    assert world.sent == list(range(1, 201))


def test_events_that_nobody_hears_wait_on_disk_and_one_of_them_is_tried_now_and_then(world):
    world.outbox.connected(True)
    ids = accept(world, 1, 2)
    world.answer(NO_MATCHING_SUBSCRIBERS)
    assert (world.acks, world.on_disk, world.sent) == (ids, True, [1, 2])
    world.pass_time(29)
    assert world.sent == [1, 2]
    world.pass_time(2)
    assert world.sent == [1, 2, 1]
    accept(world, 3)
    world.answer(NO_MATCHING_SUBSCRIBERS)
    accept(world, 4)
    assert world.sent == [1, 2, 1, 1]
    world.answer(0)
    assert world.sent[4:] == [2, 3, 4]
    world.answer(0)
    assert world.outbox.waiting == 0


def test_a_new_event_has_the_oldest_tried_at_once_even_if_an_answer_to_an_earlier_one_comes_after_it(world):
    world.outbox.connected(True)
    accept(world, 1, 2)
    world.outbox.on_acknowledged(0, NO_MATCHING_SUBSCRIBERS)
    accept(world, 3)
    assert world.sent == [1, 2]
    world.outbox.on_acknowledged(1, NO_MATCHING_SUBSCRIBERS)
    assert world.sent == [1, 2, 1]
    world.outbox.on_acknowledged(2, 0)
    assert world.sent == [1, 2, 1, 2, 3]


def test_after_an_hour_without_a_listener_events_are_dropped_and_counted(world):
    world.outbox.connected(True)
    accept(world, 1)
    world.answer(NO_MATCHING_SUBSCRIBERS)
    world.pass_time(UNHEARD_KEEP_S + 40, step=5)
    world.answer(NO_MATCHING_SUBSCRIBERS)
    assert (world.outbox.waiting, world.outbox.drops) == (0, 1)


def test_a_broker_that_has_forgotten_us_gets_the_last_minutes_again_and_in_order_with_what_waits(world):
    world.outbox.connected(True)
    accept(world, 1)
    world.answer()
    world.pass_time(400, step=10)
    accept(world, 2, 3)
    world.answer()
    world.outbox.disconnected()
    accept(world, 4)
    world.sent.clear()
    world.outbox.connected(False)
    assert world.sent == [2, 3, 4]
    assert [one.get("repeated") for one in world.payloads[-3:]] == [True, True, None]
    world.answer()
    assert not world.outbox.busy
    world.outbox.disconnected()
    world.sent.clear()
    world.outbox.connected(True)
    assert world.sent == []


def test_the_journal_outlives_the_process(world):
    world.outbox.connected(True)
    (first,) = accept(world, 1)
    world.answer()
    world.begin()  # killed, nothing closed
    world.sent.clear()
    world.outbox.connected(False)
    assert world.sent == [1]
    again = event(1)
    assert first in world.acks
    assert world.outbox.accept(again)


def test_an_event_that_the_broker_took_before_the_link_was_killed_is_not_taken_for_a_new_one(world):
    world.outbox.connected(True)
    one = event(1)
    assert world.outbox.accept(one)
    world.answer()
    world.begin()
    world.acks.clear()
    assert not world.outbox.accept(one)
    assert world.acks == [one.id]


def test_a_replay_sends_what_is_kept_and_what_waits_and_nothing_else(world):
    world.outbox.connected(True)
    accept(world, 1, 2, 3)
    world.answer()
    world.outbox.accept(event(1, boot="00000000"))
    world.answer()
    world.sent.clear()
    assert [e.seq for e in world.outbox.replay(BOOT, 2, 2**53)] == [2, 3]
    assert world.sent == [2, 3]
    assert [one.get("repeated") for one in world.payloads] == [None] * 4 + [True] * 2
    assert world.outbox.replay("ffffffff", 1, 9) == []


def test_a_refused_event_waits_like_one_that_nobody_hears(world, caplog):
    world.outbox.connected(True)
    accept(world, 1)
    world.answer(0x87)
    assert (world.outbox.waiting, len(world.acks)) == (1, 1)
    assert "events_refused" in codes(caplog)
