"""Recorded data for the API: rooms, pages of events, and all events as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Engine, and_, func, or_, select
from ulid import ULID

from dashboard.db.periods import EventFilter
from dashboard.db.tables import (
    EMOTIONS,
    events,
    lost,
    quarters,
    rooms,
)
from edge.protocol import LABELS
from edge.util.timestamps import from_unix

CSV_PAGE: Final = 5000
COLUMNS: Final = (
    "started_at",
    "node",
    "event_type",
    "confidence",
    *LABELS,
    "arousal",
    "duration_ms",
    "snr_db",
    "level_dbfs",
    "model",
    "latency_ms",
    "id",
    "boot",
    "seq",
)

Row = dict[str, Any]


class Records:
    """Reads rooms and events for the API, in pages or as CSV.

    Read-only and thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rooms(self, nodes: Collection[str] | None = None) -> dict[str, Row]:
        """Return for each recorded room: name, first seen, last utterance, number of utterances (expired ones too).

        `nodes`: of these rooms only.
        """
        total = select(quarters.c.room_id, func.sum(quarters.c.count).label("n")).group_by(quarters.c.room_id)
        if nodes is not None:
            total = total.where(quarters.c.room_id.in_(select(rooms.c.id).where(rooms.c.node.in_(nodes))))
        sums = total.subquery()
        last = select(events.c.at).where(events.c.room_id == rooms.c.id).order_by(events.c.at.desc()).limit(1)
        statement = select(
            rooms.c.node, rooms.c.name, rooms.c.first_seen, sums.c.n, last.scalar_subquery().label("last")
        ).outerjoin(sums, sums.c.room_id == rooms.c.id)
        if nodes is not None:
            statement = statement.where(rooms.c.node.in_(nodes))
        with self._engine.connect() as connection:
            return {
                row.node: {
                    "name": row.name,
                    "first_seen": from_unix(row.first_seen / 1000),
                    "utterances": int(row.n or 0),
                    "last_utterance": None if row.last is None else from_unix(row.last / 1000),
                }
                for row in connection.execute(statement)
            }

    def nodes(self) -> list[str]:
        """Return the node ids of the rooms that have utterances (expired ones too)."""
        has = select(quarters.c.room_id).where(quarters.c.room_id == rooms.c.id).exists()
        with self._engine.connect() as connection:
            return list(connection.execute(select(rooms.c.node).where(has)).scalars())

    def lost_events(self, since_ms: int) -> dict[str, int]:
        """Return for each room the number of events that were found to be lost since a time."""
        count = func.sum(lost.c.to_seq - lost.c.from_seq + 1)
        statement = (
            select(rooms.c.node, count)
            .join(rooms, rooms.c.id == lost.c.room_id)
            .where(lost.c.found >= since_ms)
            .group_by(rooms.c.node)
        )
        with self._engine.connect() as connection:
            return {node: int(number) for node, number in connection.execute(statement)}

    def page(
        self,
        node: str,
        from_ms: int,
        to_ms: int,
        after: tuple[int, bytes] | None,
        limit: int,
        *,
        wanted: EventFilter = EventFilter(),  # noqa: B008 - immutable
    ) -> tuple[list[Row], tuple[int, bytes] | None]:
        """Return events of a room, oldest first, and the position to give as `after` for the next page (None: no more).

        A position is the time and the id of the last event.
        """
        where = [
            rooms.c.node == node,
            events.c.at >= from_ms,
            events.c.at < to_ms,
            *wanted.conditions(),
        ]
        if after is not None:
            at, number = after
            where.append(or_(events.c.at > at, and_(events.c.at == at, events.c.id > number)))
        statement = (
            select(events, rooms.c.node)
            .join(rooms, rooms.c.id == events.c.room_id)
            .where(*where)
            .order_by(events.c.at, events.c.id)
            .limit(limit + 1)
        )
        with self._engine.connect() as connection:
            found = connection.execute(statement).all()
        more = (found[limit - 1].at, bytes(found[limit - 1].id)) if len(found) > limit else None
        return [_row(row) for row in found[:limit]], more

    def csv(
        self,
        node: str,
        from_ms: int,
        to_ms: int,
        *,
        wanted: EventFilter = EventFilter(),  # noqa: B008 - immutable
    ) -> Iterator[str]:
        """Yield the events of a room in a period as CSV (RFC 4180), in parts of many lines."""
        yield ",".join(COLUMNS) + "\r\n"
        after: tuple[int, bytes] | None = None
        while True:
            rows, after = self.page(node, from_ms, to_ms, after, CSV_PAGE, wanted=wanted)
            text = io.StringIO()
            writer = csv.writer(text)
            for row in rows:
                flat = row | row["probabilities"]
                writer.writerow([flat[column] for column in COLUMNS])
            yield text.getvalue()
            if after is None:
                return


def _row(row: Any) -> Row:
    return {
        "id": str(ULID(row.id)),
        "node": row.node,
        "started_at": from_unix(row.at / 1000),
        "event_type": EMOTIONS[row.emotion],
        "confidence": row.confidence / 1000,
        "arousal": None if row.arousal is None else row.arousal / 1000,
        "probabilities": {label: getattr(row, f"p_{label}") / 1000 for label in LABELS},
        "duration_ms": row.duration_ms,
        "snr_db": row.snr_db,
        "level_dbfs": row.level_dbfs,
        "model": row.model,
        "latency_ms": row.latency_ms,
        "boot": row.boot,
        "seq": row.seq,
    }
