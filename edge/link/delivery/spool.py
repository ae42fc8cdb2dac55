"""Events that wait for the broker: in memory while it answers, on disk as soon as it does not.

The disk holds the older part of the queue and memory the newer. An event in memory is not yet safe: the ear keeps
its own copy until `spill` has put the event on disk or the broker has taken it. So a killed link loses
nothing, and normal work writes nothing to an SD card.

Bounded by number and age; the oldest are dropped and counted, and the count is kept with the events.
When the disk is full, oldest events make room for new ones; when it does not work at all, memory holds the newest.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.link.delivery import entry
from edge.link.delivery.entry import Entry
from edge.util.guarded_clock import GuardedClock
from edge.util.system_clock import boottime

log = logging.getLogger(__name__)

MEMORY_LIMIT: Final = 1000
"""How many events wait in memory at most when the disk does not work."""
FLUSH_EVERY: Final = 50
"""After so many taken events their rows are deleted; until then a kill would only send them twice."""
MAKE_ROOM: Final = 16
"""How many of the oldest rows go at once when the disk is full."""

_OLDEST: Final = "n in (select n from event order by n limit ?)"


class Spool:
    """Queue of unacknowledged events, in memory and on disk, limited by number and age.

    `path` None: there is no usable disk. `clock` returns wall-clock seconds, as age has to outlive a restart. `steady`
    measures progress only: what is dropped by its age is dropped by a guarded clock, so that a clock that was set wrong
    drops nothing.
    """

    def __init__(
        self,
        path: Path | None,
        limit: int,
        max_age_s: float,
        clock: Callable[[], float],
        first_n: int = 1,
        *,
        steady: Callable[[], float] = boottime,
    ) -> None:
        self._path = path
        self._limit = limit
        self._max_age_s = max_age_s
        self._clock = clock
        self._memory: dict[int, Entry] = {}
        self._memory_ids: set[str] = set()
        self._delivered: set[int] = set()
        self._rows = 0
        self._drops = 0
        self._complained = False
        self._warn_drops_at = 1
        self._table: sqlite3.Connection | None = None
        # Without an event to keep there is no file: it is made by the first outage.
        if path is not None and path.exists():
            self._open()
        highest = entry.last_n(self._table) if self._table is not None else 0
        newest = entry.newest_at(self._table) if self._table is not None else None
        self._guard = GuardedClock(newest, wall=clock, steady=steady)
        self.next_n = max(first_n, highest + 1)
        """The number that the next event gets."""

    def __len__(self) -> int:
        return self._rows - len(self._delivered) + len(self._memory)

    @property
    def on_disk(self) -> int:
        """The number of events that wait on disk."""
        return self._rows - len(self._delivered)

    @property
    def drops(self) -> int:
        """The number of events that were dropped since the spool was made."""
        return self._drops

    def knows(self, event_id: str) -> bool:
        """Return whether the event is still queued, in memory or on disk."""
        return event_id in self._memory_ids or self.is_safe(event_id)

    def is_safe(self, event_id: str) -> bool:
        """Whether an event is on disk."""
        return bool(self._select("id = ?", (event_id,), 1))

    def add(self, event_id: str, boot: str, seq: int, payload: bytes) -> Entry:
        """Add an event to the queue in memory; returns its entry."""
        new = Entry(self.next_n, event_id, boot, seq, self._clock(), payload)
        self.next_n += 1
        self._memory[new.n] = new
        self._memory_ids.add(event_id)
        return new

    def spill(self) -> list[Entry]:
        """Move all events from memory to disk; returns those that the ear may drop now: stored, or dropped here."""
        waiting = list(self._memory.values())
        if not waiting:
            return []
        if not self._write(waiting):
            return self._cut_memory()
        self._memory.clear()
        self._memory_ids.clear()
        return waiting

    def oldest(self, limit: int, without: set[int]) -> list[Entry]:
        """Return the first `limit` entries in order of arrival, leaving out those whose number is in `without`."""
        found: list[Entry] = []
        if self.on_disk:
            skip = len(without) + len(self._delivered)
            rows = self._select("true", (), limit + skip)
            found = [e for e in rows if e.n not in without and e.n not in self._delivered]
        found += [e for e in self._memory.values() if e.n not in without]
        return found[:limit]

    def find(self, boot: str, from_seq: int, to_seq: int, limit: int) -> list[Entry]:
        """Return waiting events of one start of the ear, by their sequence numbers, for a replay."""
        found = self._select("boot = ? and seq between ? and ?", (boot, from_seq, to_seq), limit)
        found += [e for e in self._memory.values() if e.boot == boot and from_seq <= e.seq <= to_seq]
        return found[:limit]

    def remove(self, gone: Entry) -> bool:
        """Remove an event that the broker has acknowledged.

        True when it was only in memory, so that the ear must be told.
        """
        if self._memory.pop(gone.n, None) is not None:
            self._memory_ids.discard(gone.id)
            return True
        # It may have been dropped meanwhile, or come from the journal: then there is no row of it.
        if self._rows and gone.n not in self._delivered and self._select("n = ?", (gone.n,), 1):
            self._delivered.add(gone.n)
            if len(self._delivered) >= FLUSH_EVERY or self.on_disk == 0:
                self.flush()
        return False

    def flush(self) -> None:
        """Delete acknowledged events from disk."""
        if not self._delivered or self._table is None:
            return
        delivered = [(n,) for n in self._delivered]
        try:
            with entry.transaction(self._table):
                self._table.executemany("delete from event where n = ?", delivered)
        except sqlite3.Error as error:
            self._complain(error)
            return
        self._delivered.clear()
        self._rows = entry.count(self._table)

    def drop_old(self, age_s: float | None = None) -> None:
        """Drop and count events that have waited longer than the limit, or than `age_s` seconds."""
        if self.on_disk:
            age = self._max_age_s if age_s is None else min(age_s, self._max_age_s)
            self._try_drop("at < ?", (self._guard.now() - age,))

    def rewrite(self, from_n: int, change: Callable[[Entry], Entry]) -> None:
        """Replace waiting entries from the number `from_n` on by `change(entry)`."""
        for n, old in self._memory.items():
            if n >= from_n:
                self._memory[n] = change(old)
        wrong = self._select("n >= ?", (from_n,), self._rows)
        if self._table is None or not wrong:
            return
        right = [change(old) for old in wrong]
        try:
            with entry.transaction(self._table):
                self._table.executemany(
                    "update event set at = ?, payload = ? where n = ?",
                    ((e.at, e.payload, e.n) for e in right),
                )
        except sqlite3.Error as error:
            self._complain(error)

    def close(self) -> None:
        """Close the file of waiting events; it is kept."""
        self.flush()
        if self._table is not None:
            self._table.close()
            self._table = None

    def _open(self) -> bool:
        if self._table is not None:
            return True
        if self._path is None:
            return False
        try:
            table = entry.open_table(self._path, durable=True)
            self._rows = entry.count(table)
            row = table.execute("select value from counter where name = 'drops'").fetchone()
        except (OSError, sqlite3.Error) as error:
            self._complain(error)
            return False
        self._table = table
        self._drops += int(row[0]) if row else 0
        return True

    def _write(self, entries: list[Entry]) -> bool:
        if not self._open() or self._table is None:
            return False
        try:
            self._insert(entries)
        except sqlite3.Error as error:
            try:
                # Most likely the disk is full: the oldest make room.
                if not self._rows or not self._drop(_OLDEST, (max(MAKE_ROOM, 2 * len(entries)),)):
                    raise
                self._insert(entries)
            except sqlite3.Error:
                self._complain(error)
                return False
        if self._complained:
            log.info("[spool_usable] the spool %s works again", self._path)
            self._complained = False
        return True

    def _insert(self, entries: list[Entry]) -> None:
        """Adds rows and drops what is then too many, in one commit: the medium is written once."""
        assert self._table is not None
        lost: set[int] = set()
        gone: set[int] = set()
        with entry.transaction(self._table):
            entry.insert(self._table, entries)
            excess = entry.count(self._table) - len(self._delivered) - self._limit
            if excess > 0:
                gone, lost = self._delete(_OLDEST, (excess + len(self._delivered),))
        self._forget(gone, lost)

    def _cut_memory(self) -> list[Entry]:
        excess = max(0, len(self._memory) - MEMORY_LIMIT)
        dropped = list(self._memory.values())[:excess]
        for old in dropped:
            del self._memory[old.n]
            self._memory_ids.discard(old.id)
        self._drops += len(dropped)
        return dropped

    def _drop(self, condition: str, values: tuple[object, ...]) -> int:
        """Deletes and counts rows in a commit of its own; returns how many."""
        assert self._table is not None
        with entry.transaction(self._table):
            gone, lost = self._delete(condition, values)
        self._forget(gone, lost)
        return len(gone)

    def _delete(self, condition: str, values: tuple[object, ...]) -> tuple[set[int], set[int]]:
        """Inside a transaction: deletes rows, and counts those of them that the broker had not taken."""
        assert self._table is not None
        gone = {row[0] for row in self._table.execute(f"select n from event where {condition}", values)}
        lost = gone - self._delivered
        self._table.execute(f"delete from event where {condition}", values)
        self._table.execute(
            "insert or replace into counter (name, value) values ('drops', ?)", (self._drops + len(lost),)
        )
        return gone, lost

    def _forget(self, gone: set[int], lost: set[int]) -> None:
        """After the commit."""
        assert self._table is not None
        self._drops += len(lost)
        self._delivered -= gone
        self._rows = entry.count(self._table)
        if lost and (self._drops >= self._warn_drops_at):
            log.warning(
                "[events_dropped] %d events were dropped so far: too old, or too many",
                self._drops,
            )
            self._warn_drops_at = self._drops * 2

    def _try_drop(self, condition: str, values: tuple[object, ...]) -> None:
        if self._table is None:
            return
        try:
            self._drop(condition, values)
        except sqlite3.Error as error:
            self._complain(error)

    def _select(self, condition: str, values: tuple[object, ...], limit: int) -> list[Entry]:
        if self._table is None:
            return []
        try:
            return entry.select(self._table, condition, values, limit)
        except sqlite3.Error as error:
            self._complain(error)
            return []

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            log.error(
                "[spool_unusable] the spool %s cannot be used, events wait in memory: %s", self._path, error
            )
        self._complained = True
