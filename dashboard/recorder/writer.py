"""Writes batches: each event once, the sums of its quarter of an hour with it, in one transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from dashboard.db.tables import (
    EMOTIONS,
    QUARTER_MS,
    boots,
    events,
    quarters,
    rooms,
)
from dashboard.live.rooms import clean, heard_at
from edge.protocol.messages import LABELS, Event

ROWS: int = 1000
"""SQLite takes at most 32,766 values in a statement; a row of `events` has 20."""
_DIGITS: Final = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv")


@dataclass(frozen=True)
class Received:
    """An event with its room and the time of its arrival, in milliseconds since 1970."""

    node: str
    event: Event
    at_ms: int


class Writer:
    """Used by one thread. Errors of the database pass through; then nothing of the batch is written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ids: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def write(self, batch: Sequence[Received]) -> int:
        """Writes what is new and returns how many events that were."""
        try:
            with self._engine.begin() as connection:
                ids = self._room_ids(connection, {received.node for received in batch})
                new = self._insert(connection, [(ids[received.node], received) for received in batch])
                self._sum_up(connection, new)
                self._touch(connection, new)
        except Exception:
            # A room that was made in the failed transaction does not exist, and one that is known may have been erased.
            self._ids.clear()
            self._names.clear()
            raise
        return len(new)

    def name(self, node: str, name: str) -> None:
        """What people call the room now."""
        name = clean(name)
        if self._names.get(node) == name:
            return
        with self._engine.begin() as connection:
            room = self._room_ids(connection, {node})[node]
            connection.execute(rooms.update().where(rooms.c.id == room).values(name=name))
        self._names[node] = name

    def _room_ids(self, connection: Connection, nodes: set[str]) -> dict[str, int]:
        unknown = nodes - self._ids.keys()
        if unknown:
            now = round(time.time() * 1000)
            rows = [{"node": node, "name": "", "first_seen": now} for node in sorted(unknown)]
            connection.execute(insert(connection, rooms).on_conflict_do_nothing(), rows)
            for part in chunks(sorted(unknown), ROWS):
                found = connection.execute(select(rooms.c.node, rooms.c.id).where(rooms.c.node.in_(part)))
                self._ids.update((row.node, row.id) for row in found)
        return {node: self._ids[node] for node in nodes}

    def _insert(self, connection: Connection, batch: list[tuple[int, Received]]) -> list[dict[str, Any]]:
        rows = {row["id"]: row for row in (_row(room, received) for room, received in batch)}
        statement = insert_all(connection, events).on_conflict_do_nothing().returning(events.c.id)
        new: list[dict[str, Any]] = []
        for part in chunks(list(rows.values()), ROWS):
            found = connection.execute(statement, together(connection, part)).scalars()
            new.extend(rows[bytes(number)] for number in found)
        return new

    def _sum_up(self, connection: Connection, new: Iterable[dict[str, Any]]) -> None:
        sums: dict[tuple[int, int, int], Counter[str]] = {}
        for row in new:
            total = sums.setdefault((row["room_id"], row["at"] // QUARTER_MS, row["emotion"]), Counter())
            total.update(count=1, duration_ms=row["duration_ms"], confidence=row["confidence"])
        statement = insert_all(connection, quarters)
        statement = statement.on_conflict_do_update(
            index_elements=["room_id", "quarter", "emotion"],
            set_={
                name: quarters.c[name] + statement.excluded[name]
                for name in ("count", "duration_ms", "confidence")
            },
        )
        # The same order everywhere: two recorders must not wait for each other's rows.
        rows = [
            {"room_id": room, "quarter": quarter, "emotion": emotion, **total}
            for (room, quarter, emotion), total in sorted(sums.items())
        ]
        if rows:
            connection.execute(statement, together(connection, rows))

    def _touch(self, connection: Connection, new: Iterable[dict[str, Any]]) -> None:
        newest: dict[tuple[int, str], int] = {}
        for row in new:
            newest[row["room_id"], row["boot"]] = row["received"]
        statement = insert_all(connection, boots)
        statement = statement.on_conflict_do_update(
            index_elements=["room_id", "boot"], set_={"touched": statement.excluded.touched}
        )
        rows = [
            {"room_id": room, "boot": boot, "complete_to": 0, "touched": at, "asked": 0, "asks": 0}
            for (room, boot), at in sorted(newest.items())
        ]
        if rows:
            connection.execute(statement, together(connection, rows))


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows `ON CONFLICT`, which SQLite and PostgreSQL write alike and SQLAlchemy keeps apart."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_all(connection: Connection, table: Table) -> Any:
    """An INSERT of the rows that `together` has put together.

    PostgreSQL is given each column as one array: the statement is then always the same text, which its driver takes
    apart once, and not 20,000 places for values at each batch (that cost four times the time of the rows themselves).
    """
    if connection.dialect.name != "postgresql":
        return insert(connection, table)
    columns = [
        func.unnest(bindparam(column.name, type_=postgresql.ARRAY(column.type))).label(column.name)
        for column in table.columns
    ]
    return postgresql.insert(table).from_select([column.name for column in table.columns], select(*columns))


def together(connection: Connection, rows: list[dict[str, Any]]) -> Any:
    """Rows that have all columns of their table, as `insert_all` wants them; at least one."""
    if connection.dialect.name != "postgresql":
        return rows
    return {name: [row[name] for row in rows] for name in rows[0]}


def chunks(rows: Sequence[Any], size: int) -> Iterable[Any]:
    """Parts of at most `size`."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def ulid_bytes(text: str) -> bytes:
    """The 16 bytes of a ULID that the contract has checked: Crockford's digits in order are those of base 32.

    The library takes 25 us for it, a sixth of all that an event costs.
    """
    return int(text.translate(_DIGITS), 32).to_bytes(16, "big")


def _row(room: int, received: Received) -> dict[str, Any]:
    event = received.event
    shares = msgspec.structs.asdict(event.probabilities)
    at = round(heard_at(event, received.at_ms / 1000) * 1000)
    return {
        "id": ulid_bytes(event.id),
        "room_id": room,
        "at": max(0, min(at, received.at_ms)),
        "received": received.at_ms,
        "boot": event.boot,
        "seq": event.seq,
        "emotion": EMOTIONS.index(event.event_type),
        "confidence": round(event.confidence * 1000),
        **{f"p_{label}": round(shares[label] * 1000) for label in LABELS},
        "duration_ms": event.duration_ms,
        "snr_db": event.snr_db,
        "level_dbfs": event.level_dbfs,
        "model": event.model,
        "latency_ms": event.latency_ms,
    }
