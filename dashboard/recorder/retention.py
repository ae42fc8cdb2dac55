"""Forgets single events after a time; the sums of their quarters of an hour stay. Erases rooms and periods."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, case, delete, func, select

from dashboard.db.tables import (
    QUARTER_MS,
    alerts,
    boots,
    events,
    lost,
    quarters,
    rooms,
)

DAY_MS = 86_400_000
STEP = 5_000


def forget(engine: Engine, before_ms: int) -> int:
    """Deletes events that began before a time, in small steps so that the recorder never waits long."""
    total = 0
    while True:
        with engine.begin() as connection:
            old = select(events.c.id).where(events.c.at < before_ms).limit(STEP)
            gone = connection.execute(delete(events).where(events.c.id.in_(old))).rowcount
        total += gone
        if gone < STEP:
            break
    with engine.begin() as connection:
        connection.execute(delete(boots).where(boots.c.touched < before_ms))
        connection.execute(delete(lost).where(lost.c.found < before_ms))
    return total


def erase(engine: Engine, node: str) -> bool:
    """Removes everything about a room; says whether there was anything.

    While the room may still repeat what it said, its bare name and how far it had counted stay for a day: otherwise the
    erased events would look like a gap, and the recorder would ask for them.
    """
    with engine.begin() as connection:
        room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
        if room is None:
            return False
        _count_as_known(connection, room)
        for table in (events, quarters, lost, alerts):
            connection.execute(delete(table).where(table.c.room_id == room))
        stale = (boots.c.room_id == room) & (boots.c.touched < round(time.time() * 1000) - DAY_MS)
        connection.execute(delete(boots).where(stale))
        if connection.execute(select(boots.c.boot).where(boots.c.room_id == room)).first() is None:
            connection.execute(delete(rooms).where(rooms.c.id == room))
        else:
            connection.execute(rooms.update().where(rooms.c.id == room).values(name=""))
    return True


def erase_period(engine: Engine, node: str, from_ms: int, to_ms: int) -> int:
    """Removes what a room said from one time to (not including) another, also from the sums; how many events.

    Of a quarter of an hour that is inside, the sums go as a whole, even where its single events were forgotten before.
    """
    with engine.begin() as connection:
        room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
        if room is None:
            return 0
        _count_as_known(connection, room)
        theirs = (events.c.room_id == room) & (events.c.at >= from_ms) & (events.c.at < to_ms)
        first, last = -(-from_ms // QUARTER_MS), to_ms // QUARTER_MS
        inside = (quarters.c.quarter >= first) & (quarters.c.quarter < last)
        connection.execute(delete(quarters).where(quarters.c.room_id == room, inside))
        rows = connection.execute(
            select(events.c.at, events.c.emotion, events.c.duration_ms, events.c.confidence).where(
                theirs, (events.c.at < first * QUARTER_MS) | (events.c.at >= last * QUARTER_MS)
            )
        )
        for at, emotion, duration, confidence in rows.all():
            own = (quarters.c.room_id == room) & (quarters.c.quarter == at // QUARTER_MS)
            less = {
                "count": quarters.c.count - 1,
                "duration_ms": quarters.c.duration_ms - duration,
                "confidence": quarters.c.confidence - confidence,
            }
            connection.execute(quarters.update().where(own, quarters.c.emotion == emotion).values(less))
        connection.execute(delete(quarters).where(quarters.c.room_id == room, quarters.c.count <= 0))
        told = (alerts.c.since < to_ms) & ((alerts.c.until >= from_ms) | alerts.c.until.is_(None))
        connection.execute(delete(alerts).where(alerts.c.room_id == room, told))
        return connection.execute(delete(events).where(theirs)).rowcount


def _count_as_known(connection: Connection, room: int) -> None:
    """What is there now is never asked for again."""
    newest = select(func.max(events.c.seq)).where(events.c.room_id == room, events.c.boot == boots.c.boot)
    known = func.coalesce(newest.scalar_subquery(), boots.c.complete_to)
    larger = case((known > boots.c.complete_to, known), else_=boots.c.complete_to)
    connection.execute(
        boots.update().where(boots.c.room_id == room).values(complete_to=larger, asked=0, asks=0)
    )
