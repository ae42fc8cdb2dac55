"""Evaluates the alert rules and publishes alerts that begin or end, to MQTT and webhooks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NoReturn

import httpx
import msgspec
from sqlalchemy.exc import SQLAlchemyError

from dashboard.alerts.rules import AlertChange, RuleStore
from dashboard.db.engine import describe_error
from dashboard.live.broker import ALERT
from dashboard.live.feed import Feed
from dashboard.values import now_ms

log = logging.getLogger(__name__)

INTERVAL_S: Final = 10.0
WEBHOOK_TIMEOUT_S: Final = 10.0
RETRY_DELAYS_S: Final = (0.0, 5.0, 30.0)

RecordAction = Callable[[str, str, str, str, str], None]
"""`AuditLog.record`: user, address, action, target, result."""


class Notifier:
    """Evaluates the alert rules and sends each change by MQTT and webhook.

    Runs on the event loop. `record_action` writes failed webhooks into the audit log.
    """

    def __init__(self, rules: RuleStore, feed: Feed, record_action: RecordAction) -> None:
        self._rules = rules
        self._feed = feed
        self._record_action = record_action
        self._deliveries: set[asyncio.Task[None]] = set()

    async def run(self) -> NoReturn:
        """Evaluate the rules every 10 s, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                changes = await asyncio.to_thread(self._rules.evaluate, now_ms())
            except SQLAlchemyError as error:
                log.error("alert rules cannot be evaluated: %s", describe_error(error))
                continue
            for change in changes:
                # A webhook that hangs must not delay the others.
                task = asyncio.create_task(self._publish(change))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def _publish(self, change: AlertChange) -> None:
        payload = msgspec.json.encode(change.message())
        log.info("alert %s", payload.decode())
        if not self._feed.broker.publish(ALERT, payload):
            log.warning("alert %d was not published: not connected to the broker", change.alert)
        address = change.rule["webhook"]
        if not address:
            return
        error = ""
        for pause in RETRY_DELAYS_S:
            await asyncio.sleep(pause)
            error = await post(address, payload)
            if not error:
                return
        log.error("webhook of rule %r: %s", change.rule["name"], error)
        try:
            target = str(change.rule["name"])
            await asyncio.to_thread(self._record_action, "hub", "", "webhook", target, error)
        except SQLAlchemyError as failure:
            log.error("the failed webhook is not in the audit log: %s", describe_error(failure))


async def post(address: str, payload: bytes) -> str:
    """POST a payload to a webhook; return why it failed, or an empty string.

    Redirections are not followed, because they could lead anywhere.
    """
    try:
        # No proxy of the environment: the address is used as the operator wrote it.
        async with httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_S, trust_env=False) as client:
            headers = {"Content-Type": "application/json", "User-Agent": "roomtone"}
            async with client.stream("POST", address, content=payload, headers=headers) as answer:
                return "" if answer.is_success else f"status {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:150]
