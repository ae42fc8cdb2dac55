"""The reachability probe: once a minute it requests the first page and sends itself a message through the broker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, NoReturn

import httpx
from sqlalchemy.exc import SQLAlchemyError

from dashboard.live.feed import Feed

log = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0
PAGE_TIMEOUT_S: Final = 5.0


async def run_probe(feed: Feed, page_url: str, record: Callable[[int, bool, bool], None]) -> NoReturn:
    """Probe once a minute until cancelled; `record(minute, page, event)` stores a result in a thread of its own."""
    while True:
        await asyncio.sleep(INTERVAL_S - time.time() % INTERVAL_S)
        minute = int(time.time() // 60)
        page, event = await asyncio.gather(_page_answers(page_url), feed.probe())
        try:
            await asyncio.to_thread(record, minute, page, event)
        except SQLAlchemyError:
            log.error("the result of the reachability probe cannot be stored: the database does not answer")


async def _page_answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(
            timeout=PAGE_TIMEOUT_S, trust_env=False, follow_redirects=True
        ) as client:
            answer = await client.get(url, headers={"Accept": "text/html", "Host": "localhost"})
            # Without a login the page asks for the token of the terminal, which is an answer, too.
            return answer.status_code in (200, 401) and "Roomtone" in answer.text
    except httpx.HTTPError:
        return False
