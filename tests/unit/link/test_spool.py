"""The queue on memory and disk."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from edge.link.delivery import spool as module
from edge.link.delivery.restamp import shifted
from edge.link.delivery.spool import Spool
from tests.support.log_codes import codes

DAY = 86_400.0


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make(path, clock, limit=1000, age=7 * DAY):
    return Spool(path, limit, age, clock, steady=clock)


def name(seq):
    return f"{seq:026d}"


def add(spool, *seqs, size=500):
    return [spool.add(name(seq), "7f3a9c01", seq, bytes(size)) for seq in seqs]


def seqs(spool, limit=10_000):
    return [e.seq for e in spool.oldest(limit, set())]


def test_without_an_outage_there_is_no_file(tmp_path, clock):
    spool = make(tmp_path / "s", clock)
    (one,) = add(spool, 1)
    assert spool.remove(one)
    spool.close()
    assert not (tmp_path / "s").exists()


def test_what_was_spilled_is_there_after_a_restart_in_order_and_before_what_is_new(tmp_path, clock):
    spool = make(tmp_path / "s", clock)
    add(spool, 1, 2, 3)
    assert [e.seq for e in spool.spill()] == [1, 2, 3]
    add(spool, 4)
    # The process dies: nothing is closed, and what was in memory only is the ear's.
    again = make(tmp_path / "s", clock)
    add(again, 5)
    assert seqs(again) == [1, 2, 3, 5]
    assert again.is_safe(name(3))
    assert not again.knows(name(4))
    assert again.knows(name(5))
    assert not again.is_safe(name(5))


def test_taken_events_leave_the_disk_and_stay_gone(tmp_path, clock):
    spool = make(tmp_path / "s", clock)
    first, second = add(spool, 1, 2)
    spool.spill()
    assert not spool.remove(first)
    assert (len(spool), seqs(spool)) == (1, [2])
    spool.flush()
    assert seqs(make(tmp_path / "s", clock)) == [2]
    spool.remove(second)
    assert len(make(tmp_path / "s", clock)) == 0
    assert spool.drops == 0


def test_too_many_drops_the_oldest_and_the_count_survives(tmp_path, clock):
    spool = make(tmp_path / "s", clock, limit=10)
    for seq in range(1, 26):
        add(spool, seq)
        spool.spill()
    assert (seqs(spool), spool.drops) == (list(range(16, 26)), 15)
    again = make(tmp_path / "s", clock, limit=10)
    assert (seqs(again), again.drops) == (list(range(16, 26)), 15)


def test_too_old_is_dropped_and_counted(tmp_path, clock):
    spool = make(tmp_path / "s", clock, age=DAY)
    add(spool, 1, 2)
    spool.spill()
    clock.now += DAY / 2
    add(spool, 3)
    spool.spill()
    clock.now += DAY / 2 + 1
    spool.drop_old()
    assert (seqs(spool), spool.drops) == ([3], 2)


def test_a_clock_that_is_set_forward_makes_nothing_old(tmp_path, clock):
    spool = make(tmp_path / "s", clock, age=DAY)
    clock.now = 1000.0
    first = add(spool, 1)[0]
    spool.spill()
    add(spool, 2)
    clock.now += 1_800_000_000
    spool.rewrite(first.n, lambda old: shifted(old, 1_800_000_000))
    spool.drop_old()
    spool.spill()
    spool.drop_old()
    assert (seqs(spool), spool.drops) == ([1, 2], 0)


def test_a_day_without_a_broker_keeps_memory_and_disk_bounded_and_the_newest_events(clock):
    """One event every eight seconds, as in a lively room; the limit is lower than what comes."""
    path = Path(tempfile.mkdtemp(dir="/dev/shm")) / "s"  # ten thousand commits to a real disk take minutes
    spool = make(path, clock, limit=2000)
    last = int(DAY / 8)
    for seq in range(1, last + 1):
        clock.now += 8
        add(spool, seq)
        spool.spill()
    assert seqs(spool) == list(range(last - 1999, last + 1))
    assert spool.drops == last - 2000
    assert path.stat().st_size < 3_000_000
    shutil.rmtree(path.parent)


def test_without_a_disk_memory_holds_the_newest_and_counts_the_rest(clock, caplog):
    spool = make(None, clock)
    for seq in range(1, module.MEMORY_LIMIT + 6):
        add(spool, seq)
        dropped = spool.spill()
    assert [e.seq for e in dropped] == [5]
    assert (seqs(spool)[0], len(spool), spool.drops) == (6, module.MEMORY_LIMIT, 5)


def test_a_folder_that_is_missing_is_said_once_and_used_when_it_comes(tmp_path, clock, caplog):
    spool = make(tmp_path / "absent" / "s", clock)
    add(spool, 1)
    assert spool.spill() == []
    assert spool.spill() == []
    assert codes(caplog).count("spool_unusable") == 1
    (tmp_path / "absent").mkdir()
    assert [e.seq for e in spool.spill()] == [1]


def test_a_damaged_file_is_put_aside(tmp_path, clock, caplog):
    (tmp_path / "s").write_bytes(b"this is not a database, and long enough to be taken for one" * 100)
    spool = make(tmp_path / "s", clock)
    add(spool, 1)
    assert [e.seq for e in spool.spill()] == [1]
    assert len(list(tmp_path.glob("s.damaged-*"))) == 1


def test_an_empty_file_is_noticed_and_a_new_one_is_not(tmp_path, clock, caplog):
    """A power cut leaves files of length 0: what was in it is gone, and that is said."""
    make(tmp_path / "new", clock)
    assert "[file_damaged]" not in caplog.text
    (tmp_path / "s").touch()
    spool = make(tmp_path / "s", clock)
    add(spool, 1)
    spool.spill()
    assert "[file_damaged]" in caplog.text


def test_nobody_else_may_read_the_file(tmp_path, clock):
    spool = make(tmp_path / "s", clock)
    add(spool, 1)
    spool.spill()
    assert {f.name: f.stat().st_mode & 0o077 for f in tmp_path.iterdir()} == {"s": 0, "s-journal": 0}


def test_what_is_committed_is_synchronised_to_the_medium(tmp_path, clock):
    spool = make(tmp_path / "s", clock)
    add(spool, 1)
    spool.spill()
    with sqlite3.connect(tmp_path / "s") as table:
        assert table.execute("pragma integrity_check").fetchone() == ("ok",)
    assert spool._table.execute("pragma synchronous").fetchone() == (2,)


@pytest.mark.parametrize("restarted", [True, False])
def test_a_clock_that_is_set_wrong_drops_nothing(tmp_path, clock, restarted):
    """8 days ahead, with a link that goes on, or starts at that clock: nobody has waited for a week."""
    steady = Clock()
    spool = Spool(tmp_path / "s", 1000, 7 * DAY, clock, steady=steady)
    add(spool, 1, 2, 3)
    spool.spill()
    clock.now += 8 * DAY
    steady.now += 60
    if restarted:
        spool.close()
        spool = Spool(tmp_path / "s", 1000, 7 * DAY, clock, steady=steady)
    spool.drop_old()
    assert (seqs(spool), spool.drops) == ([1, 2, 3], 0)
    clock.now, steady.now = clock.now + 7 * DAY, steady.now + 7 * DAY
    spool.drop_old()
    assert (seqs(spool), spool.drops) == ([], 3)


def test_what_has_no_row_any_more_is_not_counted(tmp_path, clock):
    """An event that was dropped by its age while it was on its way, and one of the journal, are acknowledged."""
    spool = make(tmp_path / "spool", clock)
    entries = add(spool, 1, 2, 3)
    spool.spill()
    clock.now += 8 * DAY
    spool.drop_old()
    late = add(spool, 4)
    spool.spill()
    for gone in (*entries, *late, *late):
        spool.remove(gone)
        assert len(spool) >= 0
    spool.flush()
    assert (len(spool), spool.on_disk) == (0, 0)
