"""Looks at the rules again and again, and tells MQTT and webhooks what began and what ended."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final, NoReturn

import httpx
import msgspec
from sqlalchemy.exc import SQLAlchemyError

from dashboard.alerts.rules import Change, Rules
from dashboard.auth.accounts import Accounts
from dashboard.db.engine import reason
from dashboard.live.broker import ALERT
from dashboard.live.feed import Hub

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
TIMEOUT_S: Final = 10.0
AGAIN_S: Final = (0.0, 5.0, 30.0)


class Teller:
    """Lives on the event loop."""

    def __init__(self, rules: Rules, hub: Hub, accounts: Accounts) -> None:
        self._rules = rules
        self._hub = hub
        self._accounts = accounts
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self) -> NoReturn:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                changes = await asyncio.to_thread(self._rules.check, round(time.time() * 1000))
            except SQLAlchemyError as error:
                log.error("alerts cannot be checked: %s", reason(error))
                continue
            for change in changes:
                # A webhook that hangs must not hold up the others.
                task = asyncio.create_task(self._tell(change))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    async def _tell(self, change: Change) -> None:
        payload = msgspec.json.encode(change.message())
        log.info("alert %s", payload.decode())
        if not self._hub.broker.publish(ALERT, payload):
            log.warning("the broker was not told of alert %d: there is no connection", change.alert)
        address = change.rule["webhook"]
        if not address:
            return
        said = ""
        for pause in AGAIN_S:
            await asyncio.sleep(pause)
            said = await post(address, payload)
            if not said:
                return
        log.error("webhook of rule %r: %s", change.rule["name"], said)
        try:
            note = self._accounts.note
            await asyncio.to_thread(note, "hub", "", "webhook", str(change.rule["name"]), said)
        except SQLAlchemyError as error:
            log.error("this cannot be noted: %s", reason(error))


async def post(address: str, payload: bytes) -> str:
    """Sends it; returns why it failed, or nothing. A redirection is a failure: it could lead anywhere."""
    try:
        # Proxies of the environment are not asked: whoever set the address meant it.
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            headers = {"Content-Type": "application/json", "User-Agent": "roomtone"}
            async with client.stream("POST", address, content=payload, headers=headers) as answer:
                return "" if answer.is_success else f"status {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:150]
