"""The guarded time of the hub: recorded data and the audit log are deleted by it, and sessions end by it.

A wrong clock must not erase recorded data or end all sessions (`edge.util.guarded_clock`). The time is kept in the
database, so that the next start of the recorder or the dashboard goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, func, select

from dashboard.db.statements import insert
from dashboard.db.tables import clock, events
from edge.util.guarded_clock import GuardedClock
from edge.util.system_clock import boottime

SAVE_INTERVAL_S: Final = 600.0
ROW: Final = 1

_clocks: WeakKeyDictionary[Engine, HubClock] = WeakKeyDictionary()
_lock: Final = threading.Lock()


class HubClock:
    """The guarded time of one database; thread-safe. Database errors (`SQLAlchemyError`) are not caught.

    `wall` (seconds since 1970) and `steady` (seconds) are replaced in tests.
    """

    def __init__(
        self, engine: Engine, wall: Callable[[], float] = time.time, steady: Callable[[], float] = boottime
    ) -> None:
        self._engine = engine
        self._steady = steady
        self._guard = GuardedClock(self._reference(), wall=wall, steady=steady)
        self._save_at = steady()

    def now_ms(self) -> int:
        """Return the guarded time in milliseconds since 1970. Must not be called inside of a transaction."""
        now = round(self._guard.now() * 1000)
        if self._steady() >= self._save_at:
            self._save_at = self._steady() + SAVE_INTERVAL_S
            with self._engine.begin() as connection:
                row = {"id": ROW, "guarded": now}
                update = insert(connection, clock).on_conflict_do_update(
                    index_elements=["id"], set_={"guarded": now}
                )
                connection.execute(update, row)
        return now

    def ahead_s(self) -> float:
        """Return by how many seconds the system clock is ahead of the guarded time."""
        return self._guard.ahead_s()

    def _reference(self) -> float | None:
        with self._engine.connect() as connection:
            found = connection.execute(select(clock.c.guarded).where(clock.c.id == ROW)).scalar()
            if found is None:
                # The first start: events have the times of the devices.
                found = connection.execute(select(func.max(events.c.at))).scalar()
        return None if found is None else found / 1000


def clock_of(engine: Engine) -> HubClock:
    """Return the clock of a database, which all parts of a process share."""
    with _lock:
        found = _clocks.get(engine)
        if found is None:
            found = _clocks[engine] = HubClock(engine)
        return found


def guarded_ms(engine: Engine) -> int:
    """Return the guarded time in milliseconds since 1970. Must not be called inside of a transaction."""
    return clock_of(engine).now_ms()
