"""An event on its way, and the table in which a set of them is kept."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.util import atomic_file

log = logging.getLogger(__name__)

_SCHEMA: Final = """
create table if not exists event (
    n integer primary key,
    id text not null unique,
    boot text not null,
    seq integer not null,
    at real not null,
    again integer not null default 0,
    payload blob not null
);
create table if not exists counter (name text primary key, value integer not null);
"""
_ALL_COLUMNS: Final = {"n", "id", "boot", "seq", "at", "again", "payload"}
_COLUMNS: Final = "n, id, boot, seq, at, payload"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is stored until the broker has acknowledged it.

    `n` counts in the order of arrival, over restarts too; `at`: wall-clock seconds; `payload`: for the broker.
    """

    n: int
    id: str
    boot: str
    seq: int
    at: float
    payload: bytes


def open_table(path: Path | None, durable: bool) -> sqlite3.Connection:
    """Open or create a database of entries; None as path: in memory. What is damaged, or another user's, is put aside.

    Raises `sqlite3.Error`, `OSError`. `durable`: what is committed survives a power cut. Without it a commit costs no
    write to the medium, and survives the end of the process.
    """
    if path is not None:
        _replace_foreign(path)
    try:
        return _open(path, durable)
    except sqlite3.DatabaseError as error:
        if path is None or not path.exists():
            raise
        if isinstance(error, sqlite3.OperationalError) and not path.is_dir():
            raise
        _put_aside(path, f"it is damaged: {error}")
        return _open(path, durable)


def _replace_foreign(path: Path) -> None:
    """Make the files of another user this user's, such as root's after a run with sudo. Raises `OSError`."""
    for file in (path, _rollback_journal(path)):
        if not file.is_file() or os.access(file, os.R_OK | os.W_OK):
            continue
        if not os.access(file, os.R_OK):
            _put_aside(path, "it belongs to another user")
            return
        log.warning("[file_of_another_user] %s belongs to another user: a copy takes its place", file)
        atomic_file.write(file, file.read_bytes(), 0o600)


def _put_aside(path: Path, why: str) -> None:
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    log.error("[file_damaged] %s is put aside as %s (%s): beginning anew", path, aside.name, why)
    path.rename(aside)
    _rollback_journal(path).unlink(missing_ok=True)


def _rollback_journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _open(path: Path | None, durable: bool) -> sqlite3.Connection:
    # Events say how people feel: only this process reads them here.
    if path is not None and path.is_file() and path.stat().st_size == 0:
        log.error("[file_damaged] %s is empty: beginning anew", path)
    before = os.umask(0o077)
    try:
        table = sqlite3.connect(":memory:" if path is None else path, timeout=2.0, isolation_level=None)
    finally:
        os.umask(before)
    try:
        # The rollback journal is kept (`persist`), not deleted: a full disk then still lets us delete the oldest rows,
        # and with them make room for the newest. A write-ahead log would have to grow first.
        table.execute("pragma journal_mode = persist")
        table.execute(f"pragma synchronous = {'full' if durable else 'off'}")
        new = not list(table.execute("select 1 from sqlite_master"))
        columns = {row[1] for row in table.execute("pragma table_info(event)")}
        if columns and columns != _ALL_COLUMNS:
            raise sqlite3.DatabaseError("of another version of Roomtone")
        table.executescript(_SCHEMA)
        if new and durable:
            _reserve(table)
        table.execute("select count(*), max(n) from event").fetchone()
    except BaseException:
        table.close()
        raise
    return table


def _reserve(table: sqlite3.Connection) -> None:
    """Claims about 200 KB of the disk, for the day when others have filled it: free pages and a long journal.

    Deleting rows writes the pages they were on to the journal first; without the room for that nothing could be
    deleted from a full disk.
    """
    rows = [(-n, f"{n:026d}", bytes(600)) for n in range(1, 129)]
    try:
        with transaction(table):
            table.executemany(
                "insert into event (n, id, boot, seq, at, payload) values (?, ?, '', 0, 0, ?)", rows
            )
        with transaction(table):
            table.execute("delete from event where n < 0")
    except sqlite3.OperationalError as error:
        log.warning("[disk_full] little room for events that wait: %s", error)
        table.execute("delete from event where n < 0")


class transaction:  # noqa: N801 - reads as a statement
    """Context manager for a transaction that takes the write lock at its beginning; all or nothing is stored."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def __enter__(self) -> None:
        self._table.execute("begin immediate")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            try:
                self._table.execute("commit")
                return
            except sqlite3.Error:
                self._rollback()
                raise
        self._rollback()

    def _rollback(self) -> None:
        # SQLite itself has rolled back after some errors (a full disk); then there is nothing to undo.
        if self._table.in_transaction:
            self._table.execute("rollback")


def insert(table: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Insert entries inside the caller's transaction; one whose id exists already is skipped."""
    table.executemany(
        f"insert or ignore into event ({_COLUMNS}) values (?, ?, ?, ?, ?, ?)",
        ((e.n, e.id, e.boot, e.seq, e.at, e.payload) for e in entries),
    )


def select(table: sqlite3.Connection, condition: str, values: Sequence[object], limit: int) -> list[Entry]:
    """Return the first entries, in order of arrival, that meet an SQL condition."""
    rows = table.execute(
        f"select {_COLUMNS} from event where {condition} order by n limit ?", (*values, limit)
    )
    return [Entry(*row) for row in rows]


def count(table: sqlite3.Connection) -> int:
    """Return the number of entries."""
    return int(table.execute("select count(*) from event").fetchone()[0])


def newest_at(table: sqlite3.Connection) -> float | None:
    """Return when the newest entry was made, in seconds since 1970; None for an empty table."""
    found = table.execute("select max(at) from event").fetchone()[0]
    return None if found is None else float(found)


def last_n(table: sqlite3.Connection) -> int:
    """Return the highest number in the table; 0 for an empty one. Deleting entries can lower it."""
    return int(table.execute("select coalesce(max(n), 0) from event").fetchone()[0])
