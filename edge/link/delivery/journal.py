"""The events that the broker has taken lately: a PUBACK is not delivery.

A broker that is killed forgets what it had queued for subscribers, and what we sent just before. From here
the link sends the last minutes again when its session there has expired, and a subscriber can ask for
what it missed (`cmd/replay`). Bounded; doubles are the subscriber's to drop, by `id`.

The file lies beside the socket, on Debian in a file system in memory: it survives the end of the
process, costs the SD card nothing, and a power cut takes it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.link.delivery import entry
from edge.link.delivery.entry import Entry

log = logging.getLogger(__name__)

LIMIT: Final = 2000
TRIM_EVERY: Final = 100


class Journal:
    """Keeps the events that the broker has acknowledged lately, so that they can be sent again.

    `path` None: kept by this process only. `clock` returns wall-clock seconds; `Entry.at` here: when it was
    acknowledged. Never fails: a file that cannot be used is replaced by a table in memory.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float], limit: int = LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._since_trim = 0
        self._again = 0
        try:
            self._table = entry.open_table(path, durable=False)
            self._count_again()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    @property
    def last_n(self) -> int:
        """The highest number in the journal; 0 when it is empty."""
        try:
            return entry.last_n(self._table)
        except sqlite3.Error as error:
            self._give_up(error)
            return 0

    @property
    def again(self) -> int:
        """The number of events that are marked to be sent once more."""
        return self._again

    def knows(self, event_id: str) -> bool:
        """Whether the broker has acknowledged this event lately."""
        return bool(self._select("id = ?", (event_id,), 1))

    def add(self, delivered: Entry) -> None:
        """Add an event that the broker has acknowledged now."""
        try:
            self._add(delivered)
        except sqlite3.Error as error:
            self._give_up(error)
            self._add(delivered)

    def send_again(self, seconds: float) -> int:
        """Mark the events that were acknowledged in the last `seconds`; return how many are marked now."""
        self._update("update event set again = 1 where at >= ?", (self._clock() - seconds,))
        return self._again

    def oldest_again(self, limit: int, without: set[int]) -> list[Entry]:
        """Return the first marked events, leaving out those whose number is in `without`."""
        if not self._again:
            return []
        return [e for e in self._select("again = 1", (), limit + len(without)) if e.n not in without][:limit]

    def sent_again(self, entry_n: int) -> None:
        """Remove the mark of an event that the broker has acknowledged again."""
        if self._again:
            self._update("update event set again = 0 where n = ?", (entry_n,))

    def find(self, boot: str, from_seq: int, to_seq: int, limit: int) -> list[Entry]:
        """Return the first `limit` events of one start of the ear, `from_seq` to `to_seq` inclusive."""
        return self._select("boot = ? and seq between ? and ?", (boot, from_seq, to_seq), limit)

    def close(self) -> None:
        """Close the file of sent events; it is kept."""
        self._table.close()

    def _add(self, delivered: Entry) -> None:
        with entry.transaction(self._table):
            entry.insert(self._table, [replace(delivered, at=self._clock())])
            self._since_trim += 1
            if self._since_trim >= TRIM_EVERY:
                self._since_trim = 0
                self._table.execute(
                    "delete from event where n <= (select max(n) from event) - ?", (self._limit,)
                )

    def _select(self, condition: str, values: tuple[object, ...], limit: int) -> list[Entry]:
        try:
            return entry.select(self._table, condition, values, limit)
        except sqlite3.Error as error:
            self._give_up(error)
            return []

    def _update(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._table.execute(statement, values)
            self._count_again()
        except sqlite3.Error as error:
            self._give_up(error)

    def _count_again(self) -> None:
        row = self._table.execute("select count(*) from event where again = 1").fetchone()
        self._again = int(row[0])

    def _give_up(self, error: Exception) -> None:
        log.warning(
            "[journal_unusable] the journal's file cannot be used, replays end with this process: %s", error
        )
        self._table = entry.open_table(None, durable=False)
        self._again = 0
