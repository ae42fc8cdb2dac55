"""The reachability probe: once a minute it requests the first page and sends itself a message through the broker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from typing import Final, NoReturn
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from sqlalchemy.exc import SQLAlchemyError

from dashboard.live.feed import Feed

log = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0
PAGE_TIMEOUT_S: Final = 5.0
MAX_PAGE_BYTES: Final = 1 << 20


async def run_probe(feed: Feed, page_url: str, record: Callable[[int, bool, bool], None]) -> NoReturn:
    """Probe once a minute until cancelled; `record(minute, page, event)` stores a result in a thread of its own."""
    while True:
        await asyncio.sleep(INTERVAL_S - time.time() % INTERVAL_S)
        minute = int(time.time() // 60)
        page, event = await asyncio.gather(asyncio.to_thread(page_answers, page_url), feed.probe())
        try:
            await asyncio.to_thread(record, minute, page, event)
        except SQLAlchemyError:
            log.error("the result of the reachability probe cannot be stored: the database does not answer")


def page_answers(url: str) -> bool:
    """Return whether the page at `url` answers; blocks for at most some seconds.

    Not by httpx, which takes 3 MB and reads all certificates for each client.
    """
    request = Request(url, headers={"Accept": "text/html", "Host": "localhost"})
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=PAGE_TIMEOUT_S) as answer:
            return b"Roomtone" in answer.read(MAX_PAGE_BYTES)
    except HTTPError as error:
        # Without a login the page asks for the token of the terminal, which is an answer, too.
        with error:
            return error.code == HTTPStatus.UNAUTHORIZED and b"Roomtone" in error.read(MAX_PAGE_BYTES)
    except (OSError, HTTPException):
        return False
