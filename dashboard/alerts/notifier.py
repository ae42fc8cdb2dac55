"""Evaluates the alert rules and sends notifications for alerts that begin or end, on all channels of the rule."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from dashboard.alerts.channels import Channels, Send
from dashboard.alerts.rules import RuleStore, message_of
from dashboard.db.engine import describe_error
from dashboard.live.broker import ALERT
from dashboard.live.feed import Feed
from dashboard.values import now_ms

log = logging.getLogger(__name__)

INTERVAL_S: Final = 10.0
RETRY_DELAYS_S: Final = (0.0, 5.0, 30.0)
NO_BROKER: Final = "not connected to the broker"

RecordAction = Callable[[str, str, str, str, str], None]
"""`AuditLog.record`: user, address, action, target, result."""
Message = dict[str, Any]


class Notifier:
    """Evaluates the alert rules and sends each change on all channels of its rule.

    Runs on the event loop. `record_action` writes failed notifications into the audit log.
    """

    def __init__(self, rules: RuleStore, feed: Feed, channels: Channels, record_action: RecordAction) -> None:
        self._rules = rules
        self._feed = feed
        self._channels = channels
        self._record_action = record_action
        self._deliveries: set[asyncio.Task[None]] = set()

    async def run(self) -> NoReturn:
        """Evaluate the rules every 10 s, until cancelled."""
        while True:
            await self.show_alerts()
            await asyncio.sleep(INTERVAL_S)
            agitated = self._feed.registry.agitated_since()
            try:
                changes = await asyncio.to_thread(self._rules.evaluate, now_ms(), agitated)
            except SQLAlchemyError as error:
                log.error("alert rules cannot be evaluated: %s", describe_error(error))
                continue
            for change in changes:
                # A channel that hangs must not delay the others.
                self._start(self._publish(change.rule, change.message()))
                for name, send in self._channels.of(change.rule, change.message()).items():
                    self._start(self._deliver(change.rule, name, send))

    async def show_alerts(self) -> None:
        """Show in the live state which rooms have an alert that is on."""
        try:
            self._feed.set_alerted(await asyncio.to_thread(self._rules.alerted_rooms))
        except SQLAlchemyError as error:
            log.error("alerts cannot be shown: %s", describe_error(error))

    async def test(self, rule: Message) -> dict[str, str]:
        """Send a test message on all channels of a rule, once; return why each failed, or an empty string."""
        message = message_of(rule)
        calls = self._channels.of(rule, message)
        results = await asyncio.gather(*(send() for send in calls.values()))
        found = {"mqtt": self._publish_to_broker(message)} | dict(zip(calls, results, strict=True))
        for channel, error in found.items():
            await asyncio.to_thread(self._rules.record_delivery, rule["id"], channel, error)
        return found

    def _start(self, delivery: Any) -> None:
        task = asyncio.create_task(delivery)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def _publish_to_broker(self, message: Message) -> str:
        return "" if self._feed.broker.publish(ALERT, msgspec.json.encode(message)) else NO_BROKER

    async def _publish(self, rule: Message, message: Message) -> None:
        log.info("alert %s", msgspec.json.encode(message).decode())
        await self._record(rule, "mqtt", self._publish_to_broker(message))

    async def _deliver(self, rule: Message, channel: str, send: Send) -> None:
        error = ""
        for pause in RETRY_DELAYS_S:
            await asyncio.sleep(pause)
            error = await send()
            if not error:
                break
        await self._record(rule, channel, error)

    async def _record(self, rule: Message, channel: str, error: str) -> None:
        try:
            await asyncio.to_thread(self._rules.record_delivery, rule["id"], channel, error)
            if error:
                log.error("%s of rule %r: %s", channel, rule["name"], error)
                await asyncio.to_thread(self._record_action, "hub", "", channel, str(rule["name"]), error)
        except SQLAlchemyError as failure:
            log.error("a delivery of rule %r is not recorded: %s", rule["name"], describe_error(failure))
