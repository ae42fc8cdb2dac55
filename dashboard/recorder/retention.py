"""Forgets single events after a time; the sums of their quarters of an hour stay. Erases a room on request."""

from __future__ import annotations

from sqlalchemy import Engine, delete, select

from dashboard.recorder.tables import boots, events, lost, quarters, rooms

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
    """Removes everything about a room; says whether there was anything."""
    with engine.begin() as connection:
        room = connection.execute(select(rooms.c.id).where(rooms.c.node == node)).scalar()
        if room is None:
            return False
        for table in (events, quarters, boots, lost):
            connection.execute(delete(table).where(table.c.room_id == room))
        connection.execute(delete(rooms).where(rooms.c.id == room))
    return True
