"""Results of the reachability probe: one row for each minute.

A minute in which the dashboard was not running has no row and counts as not reached, except in a gap of a few
minutes: a restart or an update is no outage.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, and_, case, delete, func, select

from dashboard.db.statements import insert
from dashboard.db.tables import minutes

KEPT_MINUTES: Final = 90 * 1440
WINDOW_MINUTES: Final = 30 * 1440
RESTART_MINUTES: Final = 5


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
        gap = minutes.c.minute - func.lag(minutes.c.minute).over(order_by=minutes.c.minute) - 1
        rows = (
            select(minutes, gap.label("gap"))
            .where(minutes.c.minute > last - WINDOW_MINUTES, minutes.c.minute < last)
            .subquery()
        )
        reached = case((and_(rows.c.page == 1, rows.c.event == 1), 1), else_=0)
        restarted = case((rows.c.gap <= RESTART_MINUTES, rows.c.gap), else_=0)
        statement = select(func.min(rows.c.minute), func.sum(reached), func.sum(restarted))
        with self._engine.connect() as connection:
            first, count, not_counted = connection.execute(statement).one()
        if first is None:
            return {"minutes": 0, "share": None}
        return {"minutes": last - first, "share": int(count) / (last - first - int(not_counted or 0))}
