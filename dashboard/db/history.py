"""What was recorded, as the pages want it: read from the recorder's database, in the reader's time zone.

Every function is one or two indexed queries; the sums come from `quarters`, so a month costs no more than its hours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, case, func, select
from ulid import ULID

from dashboard.db.tables import (
    EMOTIONS,
    QUARTER_MS,
    events,
    quarters,
    rooms,
)
from dashboard.live.decode import Incoming
from dashboard.live.rooms import STRIP
from edge.protocol import messages
from edge.protocol.messages import LABELS, UNCERTAIN, Event, Probabilities
from edge.util.timestamps import from_unix

MARKS: Final = 4000
"""More single utterances than this nobody can tell apart on a time line."""
DAYS: Final = 30

_COUNTS: Final = [
    # One row for each quarter of an hour, not one for each of its emotions: an eighth to carry over and to add up.
    func.coalesce(func.sum(case((quarters.c.emotion == number, quarters.c.count))), 0).label(f"n{number}")
    for number in range(len(EMOTIONS))
]

View = dict[str, Any]


def zone_of(name: str) -> tzinfo:
    """The reader's time zone; UTC where the name means nothing here."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


class History:
    """Reads; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def name_of(self, node: str) -> str | None:
        """What the room is called, if anything was ever recorded of it."""
        with self._engine.connect() as connection:
            row = connection.execute(select(rooms.c.name, rooms.c.node).where(rooms.c.node == node)).first()
        return None if row is None else row.name or row.node

    def utterances(self, node: str, before_ms: int, limit: int = 100) -> list[View]:
        """The newest utterances before a time, newest first, as `views.event_view` makes them."""
        shares = [events.c[f"p_{label}"] for label in LABELS]
        statement = (
            select(
                events.c.id, events.c.at, events.c.emotion, events.c.confidence, events.c.duration_ms, *shares
            )
            .join(rooms, rooms.c.id == events.c.room_id)
            .where(rooms.c.node == node, events.c.at < before_ms)
            .order_by(events.c.at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_utterance(node, row) for row in connection.execute(statement)]

    def newest(self, since_ms: int, for_each: int = STRIP) -> list[Incoming]:
        """The newest events of every room, oldest first, as the broker brought them once."""
        place = (
            func.row_number().over(partition_by=events.c.room_id, order_by=events.c.at.desc()).label("place")
        )
        ranked = select(events.c.id, place).where(events.c.at >= since_ms).subquery()
        statement = (
            select(rooms.c.node, events)
            .join(rooms, rooms.c.id == events.c.room_id)
            .join(ranked, ranked.c.id == events.c.id)
            .where(ranked.c.place <= for_each)
            .order_by(events.c.at)
        )
        with self._engine.connect() as connection:
            return [
                Incoming(row.node, messages.EVENT.leaf, _event(row)) for row in connection.execute(statement)
            ]

    def room(self, node: str, zone: tzinfo, now: datetime) -> View:
        """Everything the charts of a room need: its day, its week, its month."""
        today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        week = today - timedelta(days=6)
        month = today - timedelta(days=DAYS - 1)
        with self._engine.connect() as connection:
            number = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
            if number is None:
                return {"today": _ms(today), "marks": [], "hours": [], "week": [], "days": [], "total": 0}
            marks = connection.execute(
                select(events.c.at, events.c.emotion, events.c.confidence, events.c.duration_ms)
                .where(events.c.room_id == number, events.c.at >= _ms(today))
                .order_by(events.c.at.desc())
                .limit(MARKS)
            ).all()
            sums = connection.execute(
                select(quarters.c.quarter, *_COUNTS)
                .where(quarters.c.room_id == number, quarters.c.quarter >= _ms(month) // QUARTER_MS)
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
    """`[{"at": bucket, "counts": [for each emotion]}]`, in the order of time."""
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
        started_at=from_unix(row.at / 1000),
        duration_ms=row.duration_ms,
        snr_db=row.snr_db,
        level_dbfs=row.level_dbfs,
        model=row.model,
        latency_ms=row.latency_ms,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
