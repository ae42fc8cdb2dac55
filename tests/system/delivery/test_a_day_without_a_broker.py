"""Outbox, spool and journal over a simulated day without a broker: memory, disk, and what is delivered then."""

import gc
import tempfile
from pathlib import Path

import pytest

from edge.link.delivery.journal import Journal
from edge.link.delivery.outbox import Outbox
from edge.link.delivery.spool import Spool
from edge.util.process_stats import rss_mb
from tests.support.messages import event


class World:
    """A spool on a real disk, a journal, and a broker that answers when the test says so."""

    def __init__(self, folder, limit=1000):
        self.now = 0.0
        self.folder, self.limit = folder, limit
        self.sent = []
        self.acks = []
        self.begin()

    def begin(self):
        journal = Journal(self.folder / "journal", self.wall)
        spool = Spool(self.folder / "spool", self.limit, 7 * 86_400, self.wall, journal.last_n + 1)
        self.outbox = Outbox(spool, journal, self.send, self.acks.append, lambda: self.now)

    def wall(self):
        return 1_800_000_000 + self.now

    def send(self, entry):
        self.sent.append(entry.seq)
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
def quick_disk():
    """Thousands of commits to a real disk take minutes."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def accept(world, *seqs):
    events = [event(seq) for seq in seqs]
    for one in events:
        world.outbox.accept(one)
    return [one.id for one in events]


def test_a_day_without_a_broker_delivers_the_newest_events_and_counts_the_others(quick_disk):
    world = World(quick_disk, limit=300)
    world.outbox.disconnected()
    for seq in range(1, 721):
        world.now += 120
        accept(world, seq)
        world.outbox.tick()
    assert len(world.acks) == 720
    world.begin()  # the link was restarted meanwhile
    world.outbox.connected(False)
    while world.outbox.waiting:
        world.answer()
        world.pass_time(0.25)
    assert world.sent == list(range(421, 721))
    assert world.outbox.drops == 420


@pytest.mark.parametrize("disk", [True, False])
def test_a_day_without_a_broker_needs_no_more_memory_and_disk_than_its_first_hours(quick_disk, disk):
    """An event every eight seconds; what is measured is the resident memory of the process, SQLite's included."""
    world = World(quick_disk, limit=1000)
    if not disk:
        world.outbox.close()
        world.outbox = Outbox(
            Spool(None, 1000, 7 * 86_400, world.wall),
            Journal(world.folder / "journal", world.wall),
            world.send,
            world.acks.append,
            lambda: world.now,
        )
    memory, bytes_on_disk = [], []
    for hour in range(24):
        for seq in range(hour * 450 + 1, hour * 450 + 451):
            world.now += 8
            accept(world, seq)
            world.outbox.tick()
        world.acks.clear()
        gc.collect()
        memory.append(rss_mb())
        bytes_on_disk.append(sum(path.stat().st_size for path in world.folder.iterdir()))
    print(f"memory {memory[3]:.1f} to {memory[-1]:.1f} MB, disk at most {max(bytes_on_disk)} bytes")
    # Full after 2.2 hours. Were events kept in memory, 9,000 more of them would be 10 MB and more.
    assert max(memory[4:]) < memory[3] + 3
    assert max(bytes_on_disk[4:]) < (1.1 * bytes_on_disk[3] if disk else 200_000)
    assert max(bytes_on_disk) < 1_500_000
    assert (world.outbox.waiting, world.outbox.drops) == (1000, 24 * 450 - 1000)
