"""The spool on a disk that is full."""

import contextlib

import pytest

from edge.link.delivery.spool import Spool

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
    return Spool(path, limit, age, clock)


def name(seq):
    return f"{seq:026d}"


def add(spool, *seqs, size=500):
    return [spool.add(name(seq), "7f3a9c01", seq, bytes(size)) for seq in seqs]


def seqs(spool, limit=10_000):
    return [e.seq for e in spool.oldest(limit, set())]


def test_a_full_disk_drops_the_oldest_and_counts_them(small_disk, clock):
    spool = make(small_disk / "s", clock)
    last = 1000
    for seq in range(1, last + 1):
        add(spool, seq)
        spool.spill()
    found = seqs(spool)
    assert found == list(range(spool.drops + 1, last + 1))
    assert 200 < len(found) < 900
    assert make(small_disk / "s", clock).drops == spool.drops


def test_a_disk_that_others_fill_keeps_what_it_has_and_goes_on_when_there_is_room(small_disk, clock, caplog):
    spool = make(small_disk / "s", clock)
    add(spool, *range(1, 21))
    spool.spill()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    for seq in range(21, 121):
        add(spool, seq)
        spool.spill()
    assert seqs(spool) == list(range(spool.drops + 1, 121))
    ballast.unlink()
    for seq in range(121, 141):
        add(spool, seq)
        spool.spill()
    assert spool.is_safe(name(140))
    assert seqs(spool) == list(range(spool.drops + 1, 141))
