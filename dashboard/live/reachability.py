"""Requirement O.3, measured: once a minute a probe asks for the page and sends a message through the broker.

A minute in which the dashboard was not running has no row, and counts as not reached.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final, NoReturn

import httpx
from sqlalchemy import Engine, and_, case, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.engine import reason
from dashboard.db.tables import minutes
from dashboard.live.feed import Hub
from dashboard.recorder.writer import insert

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
KEPT_MINUTES: Final = 90 * 1440
WINDOW: Final = 30 * 1440
PAGE_S: Final = 5.0


class Reachability:
    """`note` and `share` are safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, minute: int, page: bool, event: bool) -> None:
        """Writes down one minute (since 1970)."""
        row = {"minute": minute, "page": int(page), "event": int(event)}
        with self._engine.begin() as connection:
            connection.execute(delete(minutes).where(minutes.c.minute < minute - KEPT_MINUTES))
            statement = insert(connection, minutes)
            # Of several dashboards one that got through is enough.
            both = {
                name: case(
                    (minutes.c[name] > statement.excluded[name], minutes.c[name]),
                    else_=statement.excluded[name],
                )
                for name in ("page", "event")
            }
            connection.execute(statement.on_conflict_do_update(index_elements=["minute"], set_=both), [row])

    def share(self, now: float) -> dict[str, Any]:
        """Of the last 30 days, or since the first probe: minutes, and the share of those with page and event."""
        last = int(now // 60)
        good = case((and_(minutes.c.page == 1, minutes.c.event == 1), 1), else_=0)
        statement = select(func.min(minutes.c.minute), func.sum(good)).where(
            minutes.c.minute > last - WINDOW, minutes.c.minute < last
        )
        with self._engine.connect() as connection:
            first, reached = connection.execute(statement).one()
        if first is None:
            return {"minutes": 0, "share": None}
        return {"minutes": last - first, "share": int(reached) / (last - first)}


async def watch(reachability: Reachability, hub: Hub, address: str) -> NoReturn:
    """Probes once a minute until it is cancelled; `address` is that of the first page."""
    while True:
        await asyncio.sleep(EVERY_S - time.time() % EVERY_S)
        minute = int(time.time() // 60)
        page, event = await asyncio.gather(_page(address), hub.probe())
        try:
            await asyncio.to_thread(reachability.note, minute, page, event)
        except SQLAlchemyError as error:
            log.error("reachability cannot be noted: %s", reason(error))


async def _page(address: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=PAGE_S, trust_env=False, follow_redirects=True) as client:
            answer = await client.get(address, headers={"Accept": "text/html", "Host": "localhost"})
            return answer.status_code == 200 and "Roomtone" in answer.text
    except httpx.HTTPError:
        return False
