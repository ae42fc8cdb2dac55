"""Recorded rooms and their utterances, for the pages. Sums for charts are in `dashboard.db.periods`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET
from sqlalchemy import ColumnElement, Engine, or_, select
from ulid import ULID

from dashboard.db.periods import EventFilter
from dashboard.db.tables import (
    EMOTIONS,
    events,
    quarters,
    rooms,
)
from edge.protocol import LABELS, UNCERTAIN, Event, Probabilities
from edge.util.timestamps import from_unix

View = dict[str, Any]


def zone_of(name: str) -> tzinfo:
    """Return the time zone of that name; UTC for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


class History:
    """Reads recorded events for pages and charts.

    Read-only and thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_recorded(self, node: str) -> bool:
        """Return whether anything is recorded of a room: sums or single events."""
        statement = select(rooms.c.id).where(rooms.c.node == node, _has_data())
        with self._engine.connect() as connection:
            return connection.execute(statement).first() is not None

    def utterances(
        self,
        node: str,
        before_ms: int,
        limit: int = 100,
        *,
        from_ms: int = 0,
        wanted: EventFilter = EventFilter(),  # noqa: B008 - immutable
    ) -> list[View]:
        """Return the utterances in `[from_ms, before_ms)`, newest first, in the format of `live.views.event_view`."""
        shares = [events.c[f"p_{label}"] for label in LABELS]
        statement = (
            select(
                events.c.id,
                events.c.at,
                events.c.emotion,
                events.c.confidence,
                events.c.arousal,
                events.c.duration_ms,
                *shares,
            )
            .join(rooms, rooms.c.id == events.c.room_id)
            .where(
                rooms.c.node == node,
                events.c.at >= from_ms,
                events.c.at < before_ms,
                *wanted.conditions(),
            )
            .order_by(events.c.at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_utterance(node, row) for row in connection.execute(statement)]

    def recorded_rooms(self) -> dict[str, tuple[str, int]]:
        """Return each room of which something is recorded: its name, and the begin of its newest utterance.

        The begin is in milliseconds since 1970; 0 where only the sums are left.
        """
        newest = (
            select(events.c.at).where(events.c.room_id == rooms.c.id).order_by(events.c.at.desc()).limit(1)
        )
        statement = select(rooms.c.node, rooms.c.name, newest.scalar_subquery().label("newest")).where(
            _has_data()
        )
        with self._engine.connect() as connection:
            return {row.node: (row.name, row.newest or 0) for row in connection.execute(statement)}

    def recent_events(self, nodes: Sequence[str], per_room: int) -> list[tuple[str, Event]]:
        """Return the newest events of some rooms as `(node, event)`, each room's oldest first."""
        found: list[tuple[str, Event]] = []
        with self._engine.connect() as connection:
            for node in nodes:
                statement = (
                    select(events)
                    .join(rooms, rooms.c.id == events.c.room_id)
                    .where(rooms.c.node == node)
                    .order_by(events.c.at.desc())
                    .limit(per_room)
                )
                found += [(node, _event(row)) for row in reversed(connection.execute(statement).all())]
        return found


def _has_data() -> ColumnElement[bool]:
    """Return the condition that a row of `rooms` has sums or single events: either may be gone without the other."""
    return or_(
        *(
            select(table.c.room_id).where(table.c.room_id == rooms.c.id).exists()
            for table in (quarters, events)
        )
    )


def _utterance(node: str, row: Any) -> View:
    view: View = {
        "id": str(ULID(row.id)),
        "node": node,
        "at": row.at,
        "emotion": EMOTIONS[row.emotion],
        "confidence": row.confidence / 1000,
        "duration": row.duration_ms,
    }
    if row.arousal is not None:
        view["arousal"] = row.arousal / 1000
    if view["emotion"] == UNCERTAIN:
        view["maybe"] = max(LABELS, key=lambda label: getattr(row, f"p_{label}"))
    return view


def _event(row: Any) -> Event:
    shares = {label: getattr(row, f"p_{label}") / 1000 for label in LABELS}
    return Event(
        id=str(ULID(row.id)),
        boot=row.boot,
        seq=row.seq,
        event_type=EMOTIONS[row.emotion],
        confidence=row.confidence / 1000,
        probabilities=Probabilities(**shares),
        arousal=UNSET if row.arousal is None else row.arousal / 1000,
        started_at=from_unix(row.at / 1000),
        duration_ms=row.duration_ms,
        snr_db=row.snr_db,
        level_dbfs=row.level_dbfs,
        model=row.model,
        latency_ms=row.latency_ms,
    )
