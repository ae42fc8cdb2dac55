"""Recorded data for the pages: recent utterances, and sums for charts in the reader's time zone.

Each method is one or two indexed queries. The sums come from `quarters`, so that a month costs no more than its hours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import UNSET
from sqlalchemy import Engine, case, func, select
from ulid import ULID

from dashboard.db.tables import (
    EMOTIONS,
    QUARTER_MS,
    events,
    quarters,
    rooms,
)
from edge.protocol import LABELS, UNCERTAIN, Event, Probabilities
from edge.util.timestamps import from_unix

MAX_MARKS: Final = 4000
"""The most single utterances that the chart of a day shows."""
DAYS: Final = 30

_COUNTS: Final = [
    # One row for each quarter of an hour instead of one for each of its emotions: an eighth of the rows.
    func.coalesce(func.sum(case((quarters.c.emotion == number, quarters.c.count))), 0).label(f"n{number}")
    for number in range(len(EMOTIONS))
]

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

    def room_name(self, node: str) -> str | None:
        """Return the display name of a room; None if nothing was ever recorded of it."""
        with self._engine.connect() as connection:
            row = connection.execute(select(rooms.c.name, rooms.c.node).where(rooms.c.node == node)).first()
        return None if row is None else row.name or row.node

    def utterances(self, node: str, before_ms: int, limit: int = 100) -> list[View]:
        """Return the utterances before a time, newest first, in the format of `live.views.event_view`."""
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
            .where(rooms.c.node == node, events.c.at < before_ms)
            .order_by(events.c.at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_utterance(node, row) for row in connection.execute(statement)]

    def recent_events(self, since_ms: int, per_room: int) -> list[tuple[str, Event]]:
        """Return the newest events of each room since a time as `(node, event)`, oldest first."""
        rank = (
            func.row_number().over(partition_by=events.c.room_id, order_by=events.c.at.desc()).label("rank")
        )
        ranked = select(events.c.id, rank).where(events.c.at >= since_ms).subquery()
        statement = (
            select(rooms.c.node, events)
            .join(rooms, rooms.c.id == events.c.room_id)
            .join(ranked, ranked.c.id == events.c.id)
            .where(ranked.c.rank <= per_room)
            .order_by(events.c.at)
        )
        with self._engine.connect() as connection:
            return [(row.node, _event(row)) for row in connection.execute(statement)]

    def charts(self, node: str, zone: tzinfo, now: datetime) -> View:
        """Return the data for the charts of a room: single utterances of today; sums of today, 7 and 30 days."""
        today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        week = today - timedelta(days=6)
        month = today - timedelta(days=DAYS - 1)
        with self._engine.connect() as connection:
            room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
            if room is None:
                return {"today": _ms(today), "marks": [], "hours": [], "week": [], "days": [], "total": 0}
            marks = connection.execute(
                select(events.c.at, events.c.emotion, events.c.confidence, events.c.duration_ms)
                .where(events.c.room_id == room, events.c.at >= _ms(today))
                .order_by(events.c.at.desc())
                .limit(MAX_MARKS)
            ).all()
            sums = connection.execute(
                select(quarters.c.quarter, *_COUNTS)
                .where(quarters.c.room_id == room, quarters.c.quarter >= _ms(month) // QUARTER_MS)
                .group_by(quarters.c.quarter)
                .order_by(quarters.c.quarter)
            ).all()
        at = [datetime.fromtimestamp(row[0] * QUARTER_MS / 1000, zone) for row in sums]
        return {
            "today": _ms(today),
            "marks": [list(mark) for mark in reversed(marks)],
            "hours": _sum(sums, at, today, lambda at: _ms(at.replace(minute=0))),
            "week": _sum(sums, at, week, lambda at: at.weekday() * 24 + at.hour),
            "days": _sum(sums, at, month, lambda at: _ms(at.replace(hour=0, minute=0))),
            "total": sum(sum(row[1:]) for row in sums),
        }


def _sum(
    rows: Sequence[Any], moments: Sequence[datetime], begin: datetime, bucket: Callable[[datetime], int]
) -> list[View]:
    """Add up the quarters of each bucket: `[{"at": bucket, "counts": [one number for each emotion]}]`, by time."""
    sums: dict[int, list[int]] = {}
    for row, at in zip(rows, moments, strict=True):
        if at >= begin:
            total = sums.setdefault(bucket(at), [0] * len(EMOTIONS))
            for emotion, count in enumerate(row[1:]):
                total[emotion] += count
    return [{"at": at, "counts": counts} for at, counts in sums.items()]


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


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
