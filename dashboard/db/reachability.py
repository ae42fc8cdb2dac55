"""Results of the reachability probe: one row for each minute.

A minute in which the dashboard was not running has no row and counts as not reached.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, and_, case, delete, func, select

from dashboard.db.statements import insert
from dashboard.db.tables import minutes

KEPT_MINUTES: Final = 90 * 1440
WINDOW_MINUTES: Final = 30 * 1440


class Reachability:
    """Stores once a minute whether the hub could be reached.

    Thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, minute: int, page: bool, event: bool) -> None:
        """Store the result of one minute (counted since 1970): whether the page and the message were received."""
        row = {"minute": minute, "page": int(page), "event": int(event)}
        with self._engine.begin() as connection:
            connection.execute(delete(minutes).where(minutes.c.minute < minute - KEPT_MINUTES))
            statement = insert(connection, minutes)
            # Of several dashboards on one database one success is enough.
            best = {
                name: case(
                    (minutes.c[name] > statement.excluded[name], minutes.c[name]),
                    else_=statement.excluded[name],
                )
                for name in ("page", "event")
            }
            connection.execute(statement.on_conflict_do_update(index_elements=["minute"], set_=best), [row])

    def share(self, now: float) -> dict[str, Any]:
        """Return `minutes` since the first probe (at most 30 days) and the `share` in which both were received.

        `now` is in seconds since 1970. `share` is None before the first probe.
        """
        last = int(now // 60)
        reached = case((and_(minutes.c.page == 1, minutes.c.event == 1), 1), else_=0)
        statement = select(func.min(minutes.c.minute), func.sum(reached)).where(
            minutes.c.minute > last - WINDOW_MINUTES, minutes.c.minute < last
        )
        with self._engine.connect() as connection:
            first, count = connection.execute(statement).one()
        if first is None:
            return {"minutes": 0, "share": None}
        return {"minutes": last - first, "share": int(count) / (last - first)}
