"""What was recorded of a room in a period: sums on a linear time axis, single utterances, and what is usual there.

Without a filter the sums come from `quarters`, so that a month costs no more than its hours; with one, and for
arousal, they come from the single events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, case, func, literal_column, select

from dashboard.db.tables import EMOTIONS, QUARTER_MS, events, quarters, rooms

MAX_MARKS: Final = 4000
"""The most single utterances of a period; the newest are returned."""
MAX_BUCKETS: Final = 1000
USUAL_DAYS: Final = 28
"""What is usual in a room is taken from so many days before the period."""

Step = Literal["quarter", "hour", "day"]
Row = dict[str, Any]

_COUNTS: Final = [
    # One row for each quarter of an hour instead of one for each of its emotions: an eighth of the rows.
    func.coalesce(func.sum(case((quarters.c.emotion == number, quarters.c.count))), 0).label(f"n{number}")
    for number in range(len(EMOTIONS))
]


_QUARTER: Final = events.c.at // literal_column(str(QUARTER_MS), BigInteger)
# A literal: PostgreSQL takes two parameters of the same value for two different expressions.


@dataclass(frozen=True)
class EventFilter:
    """Which utterances are wanted. The defaults want all."""

    emotions: tuple[int, ...] = ()
    """Indices into `EMOTIONS`; empty: all."""
    confidence: int = 0
    """At least this, per mille."""
    arousal_from: int | None = None
    """At least this, per mille from -1000 to 1000; utterances without arousal are left out."""
    arousal_to: int | None = None

    def __bool__(self) -> bool:
        return self != EventFilter()

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on `events`."""
        found: list[ColumnElement[bool]] = []
        if self.emotions:
            found.append(events.c.emotion.in_(self.emotions))
        if self.confidence:
            found.append(events.c.confidence >= self.confidence)
        if self.arousal_from is not None:
            found.append(events.c.arousal >= self.arousal_from)
        if self.arousal_to is not None:
            found.append(events.c.arousal <= self.arousal_to)
        return found


@dataclass
class Bucket:
    """The utterances of one step."""

    at: int
    """Its begin, milliseconds since 1970."""
    counts: list[int] = field(default_factory=lambda: [0] * len(EMOTIONS))
    arousal: int = 0
    """Sum of the arousal, per mille."""
    with_arousal: int = 0

    def view(self) -> Row:
        """Return it as the API gives it."""
        mean = round(self.arousal / self.with_arousal / 1000, 3) if self.with_arousal else None
        return {"at": self.at, "counts": self.counts, "arousal": mean}


class Periods:
    """Read-only and thread-safe. Database errors (`SQLAlchemyError`) are not caught."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def period(
        self,
        node: str,
        span: tuple[datetime, datetime],
        step: Step,
        *,
        wanted: EventFilter = EventFilter(),
        marks: bool = False,
    ) -> Row:
        """Return the sums of a room in a span `[begin, end)`, one for each step, empty ones included.

        Days are those of the time zone of the begin. `marks`: with single utterances, too. Raises `ValueError` for
        more than `MAX_BUCKETS` steps.
        """
        edges = bucket_edges(*span, step)
        buckets = [Bucket(at) for at in edges[:-1]]
        with self._engine.connect() as connection:
            room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
            _add_counts(connection, room, edges, buckets, wanted)
            _add_arousal(connection, room, edges, buckets, wanted)
            first = connection.execute(
                select(func.min(quarters.c.quarter)).where(quarters.c.room_id == room)
            ).scalar()
            shown = _marks(connection, room, edges, wanted) if marks else []
            usual = _usual(connection, room, edges[0])
        return {
            "begin": edges[0],
            "end": edges[-1],
            "first": None if first is None else first * QUARTER_MS,
            "total": sum(sum(bucket.counts) for bucket in buckets),
            "buckets": [bucket.view() for bucket in buckets],
            "marks": shown,
            "usual": usual,
        }

    def all_rooms(self, begin: datetime, end: datetime, step: Step) -> dict[str, list[Row]]:
        """Return the same sums for each room that has utterances in the period."""
        edges = bucket_edges(begin, end, step)
        found: dict[str, list[Bucket]] = {}
        with self._engine.connect() as connection:
            statement = (
                select(
                    rooms.c.node,
                    _QUARTER,
                    events.c.emotion,
                    func.count(),
                    func.sum(events.c.arousal),
                    func.count(events.c.arousal),
                )
                .join(rooms, rooms.c.id == events.c.room_id)
                .where(
                    events.c.room_id.in_(select(rooms.c.id)),
                    events.c.at >= edges[0],
                    events.c.at < edges[-1],
                )
                .group_by(rooms.c.node, _QUARTER, events.c.emotion)
            )
            for node, quarter, emotion, count, arousal, with_arousal in connection.execute(statement):
                buckets = found.setdefault(node, [Bucket(at) for at in edges[:-1]])
                bucket = buckets[_place(edges, quarter)]
                bucket.counts[emotion] += count
                bucket.arousal += int(arousal or 0)
                bucket.with_arousal += with_arousal
        return {node: [bucket.view() for bucket in buckets] for node, buckets in found.items()}


def bucket_edges(begin: datetime, end: datetime, step: Step) -> list[int]:
    """Return the begin of each step and the end of the last one, in milliseconds since 1970.

    Raises `ValueError` for an empty period and for more than `MAX_BUCKETS` steps.
    """
    first, last = _ms(begin), _ms(end)
    if first >= last:
        raise ValueError("the period is empty")
    if step == "day":
        edges = _midnights(begin, end)
    else:
        length = QUARTER_MS if step == "quarter" else 4 * QUARTER_MS
        if (last - first) // length >= MAX_BUCKETS:
            raise ValueError(f"at most {MAX_BUCKETS} steps")
        edges = list(range(first, last, length))
    if len(edges) > MAX_BUCKETS:
        raise ValueError(f"at most {MAX_BUCKETS} steps")
    return [*edges, last]


def _midnights(begin: datetime, end: datetime) -> list[int]:
    edges, day = [_ms(begin)], begin.date()
    if (end - begin).days > MAX_BUCKETS:
        raise ValueError(f"at most {MAX_BUCKETS} steps")
    zone: tzinfo | None = begin.tzinfo
    while True:
        day += timedelta(days=1)
        midnight = datetime.combine(day, time(), zone)
        if midnight >= end:
            return edges
        edges.append(_ms(midnight))


def _add_counts(
    connection: Connection, room: Any, edges: Sequence[int], buckets: list[Bucket], wanted: EventFilter
) -> None:
    whole = edges[0] % QUARTER_MS == 0 and edges[-1] % QUARTER_MS == 0
    if whole and not wanted:
        sums = (
            select(quarters.c.quarter, *_COUNTS)
            .where(
                quarters.c.room_id == room,
                quarters.c.quarter >= edges[0] // QUARTER_MS,
                quarters.c.quarter < edges[-1] // QUARTER_MS,
            )
            .group_by(quarters.c.quarter)
        )
        for quarter, *counts in connection.execute(sums):
            bucket = buckets[_place(edges, quarter)]
            bucket.counts = [a + int(b) for a, b in zip(bucket.counts, counts, strict=True)]
        return
    single = (
        select(_QUARTER, events.c.emotion, func.count())
        .where(*_in_period(room, edges), *wanted.conditions())
        .group_by(_QUARTER, events.c.emotion)
    )
    for quarter, emotion, count in connection.execute(single):
        buckets[_place(edges, quarter)].counts[emotion] += count


def _add_arousal(
    connection: Connection, room: Any, edges: Sequence[int], buckets: list[Bucket], wanted: EventFilter
) -> None:
    statement = (
        select(_QUARTER, func.sum(events.c.arousal), func.count(events.c.arousal))
        .where(*_in_period(room, edges), events.c.arousal.is_not(None), *wanted.conditions())
        .group_by(_QUARTER)
    )
    for quarter, total, count in connection.execute(statement):
        bucket = buckets[_place(edges, quarter)]
        bucket.arousal += int(total)
        bucket.with_arousal += count


def _marks(connection: Connection, room: Any, edges: Sequence[int], wanted: EventFilter) -> list[list[Any]]:
    statement = (
        select(events.c.at, events.c.emotion, events.c.confidence, events.c.duration_ms, events.c.arousal)
        .where(*_in_period(room, edges), *wanted.conditions())
        .order_by(events.c.at.desc())
        .limit(MAX_MARKS)
    )
    return [list(row) for row in reversed(connection.execute(statement).all())]


def _usual(connection: Connection, room: Any, before_ms: int) -> Row | None:
    """Return the means of a day of the four weeks before a time; None where there is no day of data."""
    since = before_ms - USUAL_DAYS * 96 * QUARTER_MS
    span = (
        quarters.c.room_id == room,
        quarters.c.quarter >= since // QUARTER_MS,
        quarters.c.quarter < before_ms // QUARTER_MS,
    )
    day = (quarters.c.quarter - since // QUARTER_MS) // literal_column("96", BigInteger)
    found = connection.execute(select(func.count(day.distinct()), *_COUNTS).where(*span)).one()
    days, counts = found[0], [int(count) for count in found[1:]]
    total = sum(counts)
    if not total:
        return None
    return {"days": days, "per_day": round(total / days, 1), "shares": [round(n / total, 4) for n in counts]}


def _in_period(room: Any, edges: Sequence[int]) -> list[ColumnElement[bool]]:
    return [events.c.room_id == room, events.c.at >= edges[0], events.c.at < edges[-1]]


def _place(edges: Sequence[int], quarter: int) -> int:
    # A period may begin inside of its first quarter.
    return max(0, bisect_right(edges, quarter * QUARTER_MS) - 1)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
