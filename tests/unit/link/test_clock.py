"""A box that does not know the time yet: marks, and right times as soon as it does. All clocks are the test's."""

import pytest
from msgspec import UNSET

from edge.link.delivery.journal import Journal
from edge.link.delivery.outbox import Outbox
from edge.link.delivery.spool import Spool
from edge.link.state import clock as module
from edge.link.state.clock import Clock
from edge.protocol import decode_event, encode
from edge.util import system_clock
from tests.support.messages import BOOT, event

RIGHT = 1_800_000_000.0
WRONG = 1_500_000_000.0


class Box:
    """A machine whose wall clock may be wrong, with a spool on disk and no broker."""

    def __init__(self, folder):
        self.folder = folder
        self.since_boot = 20.0
        self.error = WRONG - RIGHT
        self.synced = False
        self.boot = "a"
        self.start()

    def wall(self):
        return RIGHT + self.since_boot + self.error

    def start(self):
        """The link, also after it was killed."""
        journal = Journal(self.folder / "journal", self.wall)
        self.spool = Spool(self.folder / "spool", 1000, 7 * 86_400, self.wall, journal.last_n + 1)
        self.outbox = Outbox(self.spool, journal, lambda _: None, lambda _: None, lambda: self.since_boot)
        self.clock = Clock(
            self.folder / "clock", self.outbox, self.outbox.next_n,
            is_synced=lambda: self.synced, wall=self.wall, since_boot=lambda: self.since_boot, boot=self.boot,
        )  # fmt: skip

    def hear(self, seq):
        """Returns when it really was."""
        self.since_boot += 10
        stamp = module.time.strftime("%Y-%m-%dT%H:%M:%S.000Z", module.time.gmtime(self.wall()))
        self.outbox.accept(self.clock.mark(module.msgspec.structs.replace(event(seq), started_at=stamp)))
        self.outbox.tick()
        return RIGHT + self.since_boot

    def waiting(self):
        return [decode_event(e.payload) for e in self.spool.oldest(1000, set())]


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def times(box):
    return [module.time.mktime(module.time.strptime(e.started_at, "%Y-%m-%dT%H:%M:%S.000Z")) - module.time.timezone
            for e in box.waiting()]  # fmt: skip


def marks(box):
    return [e.clock for e in box.waiting()]


def test_events_are_marked_until_the_clock_is_right_and_then_corrected(box):
    truth = [box.hear(1), box.hear(2)]
    assert marks(box) == ["unsynced"] * 2
    assert all(t < RIGHT - 1e8 for t in times(box))
    box.error, box.synced = 0.0, True
    box.clock.watch()
    truth.append(box.hear(3))
    assert times(box) == truth
    assert marks(box) == [UNSET] * 3
    assert [e.at for e in box.spool.oldest(9, set())] == truth


def test_a_clock_that_is_set_before_it_counts_as_right_is_corrected_at_once_and_keeps_the_mark(box):
    truth = [box.hear(1)]
    box.error = 0.0
    box.clock.watch()
    assert (times(box), marks(box)) == (truth, ["unsynced"])
    box.synced = True
    box.clock.watch()
    assert (times(box), marks(box)) == (truth, [UNSET])


def test_a_link_that_was_killed_meanwhile_corrects_what_the_one_before_has_stamped(box):
    truth = [box.hear(1), box.hear(2)]
    box.start()
    truth.append(box.hear(3))
    box.start()
    box.error, box.synced = 0.0, True
    box.clock.watch()
    assert (times(box), marks(box)) == (truth, [UNSET] * 3)


def test_the_clock_may_be_set_while_the_link_is_not_there(box):
    truth = [box.hear(1)]
    box.error, box.synced = 0.0, True
    box.start()
    box.clock.watch()
    assert (times(box), marks(box)) == (truth, [UNSET])


def test_what_an_earlier_start_of_the_machine_has_stamped_keeps_its_mark(box):
    box.hear(1)
    stamped = times(box)
    box.boot, box.since_boot = "b", 5.0
    box.start()
    truth = box.hear(2)
    box.error, box.synced = 0.0, True
    box.clock.watch()
    assert times(box) == [*stamped, truth]
    assert marks(box) == ["unsynced", UNSET]


def test_with_a_right_clock_nothing_is_marked_and_nothing_written(box):
    box.error, box.synced = 0.0, True
    box.start()
    truth = [box.hear(1)]
    box.clock.watch()
    assert (times(box), marks(box)) == (truth, [UNSET])
    assert not (box.folder / "clock").exists()


def test_a_right_clock_that_somebody_sets_changes_ages_and_no_event(box):
    box.error, box.synced = 0.0, True
    box.start()
    truth = [box.hear(1)]
    box.error = 3600.0
    box.clock.watch()
    assert times(box) == truth
    assert [e.at for e in box.spool.oldest(9, set())] == [truth[0] + 3600]


def test_a_marked_event_is_no_longer_than_the_contract_allows_and_an_unmarked_one_does_not_have_the_key():
    marked = module.msgspec.structs.replace(event(1), clock="unsynced")
    assert b'"clock":"unsynced"' in encode(marked)
    assert b"clock" not in encode(event(1))
    assert decode_event(encode(marked)) == marked
    assert marked.boot == BOOT


def test_without_the_system_call_the_file_of_timesyncd_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda *_, **__: (_ for _ in ()).throw(OSError))
    assert module.synced(tmp_path)
    (tmp_path / "systemd" / "timesync").mkdir(parents=True)
    assert not module.synced(tmp_path)
    (tmp_path / "systemd" / "timesync" / "synchronized").touch()
    assert module.synced(tmp_path)
