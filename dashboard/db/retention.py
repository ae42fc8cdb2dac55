"""Deleting recorded data: expiry of single events, and erasure of a room or a period."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, case, delete, func, select

from dashboard.db.clock import guarded_ms
from dashboard.db.tables import QUARTER_MS, alerts, boots, events, lost, quarters, rooms

DAY_MS: Final = 86_400_000
STEP: Final = 5_000


def expire(engine: Engine, before_ms: int) -> int:
    """Delete events that began before a time and return their number; the sums of their quarters are kept.

    Works in small transactions, so that the recorder never waits long.
    """
    total = 0
    while True:
        with engine.begin() as connection:
            old = select(events.c.id).where(events.c.at < before_ms).limit(STEP)
            deleted = connection.execute(delete(events).where(events.c.id.in_(old))).rowcount
        total += deleted
        if deleted < STEP:
            break
    with engine.begin() as connection:
        connection.execute(delete(boots).where(boots.c.touched < before_ms))
        connection.execute(delete(lost).where(lost.c.found < before_ms))
    return total


def erase_room(engine: Engine, node: str) -> bool:
    """Erase everything recorded of a room; return whether there was anything.

    While the device may still replay its events, the room's bare id and its sequence numbers stay for a day: otherwise
    the erased events would look like a gap, and the recorder would request them again.
    """
    now = guarded_ms(engine)
    with engine.begin() as connection:
        room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
        if room is None:
            return False
        _mark_as_complete(connection, room)
        for table in (events, quarters, lost, alerts):
            connection.execute(delete(table).where(table.c.room_id == room))
        stale = (boots.c.room_id == room) & (boots.c.touched < now - DAY_MS)
        connection.execute(delete(boots).where(stale))
        if connection.execute(select(boots.c.boot).where(boots.c.room_id == room)).first() is None:
            connection.execute(delete(rooms).where(rooms.c.id == room))
        else:
            connection.execute(rooms.update().where(rooms.c.id == room).values(name=""))
    return True


def erase_period(engine: Engine, node: str, from_ms: int, to_ms: int) -> int:
    """Erase what a room recorded in `[from_ms, to_ms)`, also from the sums; return the number of events.

    The sums of a quarter of an hour that lies inside are deleted as a whole, even where its single events have expired.
    """
    with engine.begin() as connection:
        room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
        if room is None:
            return 0
        _mark_as_complete(connection, room)
        in_period = (events.c.room_id == room) & (events.c.at >= from_ms) & (events.c.at < to_ms)
        first, last = -(-from_ms // QUARTER_MS), to_ms // QUARTER_MS
        inside = (quarters.c.quarter >= first) & (quarters.c.quarter < last)
        connection.execute(delete(quarters).where(quarters.c.room_id == room, inside))
        at_edges = (events.c.at < first * QUARTER_MS) | (events.c.at >= last * QUARTER_MS)
        rows = connection.execute(
            select(events.c.at, events.c.emotion, events.c.duration_ms, events.c.confidence).where(
                in_period, at_edges
            )
        )
        for at, emotion, duration, confidence in rows.all():
            quarter = (quarters.c.room_id == room) & (quarters.c.quarter == at // QUARTER_MS)
            reduced = {
                "count": quarters.c.count - 1,
                "duration_ms": quarters.c.duration_ms - duration,
                "confidence": quarters.c.confidence - confidence,
            }
            connection.execute(
                quarters.update().where(quarter, quarters.c.emotion == emotion).values(reduced)
            )
        connection.execute(delete(quarters).where(quarters.c.room_id == room, quarters.c.count <= 0))
        overlapping = (alerts.c.since < to_ms) & ((alerts.c.until >= from_ms) | alerts.c.until.is_(None))
        connection.execute(delete(alerts).where(alerts.c.room_id == room, overlapping))
        return connection.execute(delete(events).where(in_period)).rowcount


def _mark_as_complete(connection: Connection, room: int) -> None:
    """Make the recorder treat all sequence numbers up to now as known, so that it never requests them again."""
    newest = select(func.max(events.c.seq)).where(events.c.room_id == room, events.c.boot == boots.c.boot)
    known = func.coalesce(newest.scalar_subquery(), boots.c.complete_to)
    larger = case((known > boots.c.complete_to, known), else_=boots.c.complete_to)
    connection.execute(
        boots.update().where(boots.c.room_id == room).values(complete_to=larger, asked=0, asks=0)
    )
