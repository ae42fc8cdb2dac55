"""The channels of notifications: webhook, e-mail and the browsers that asked for it. MQTT is in the notifier."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from dashboard.alerts.addresses import AllowedAddresses
from dashboard.alerts.http_client import post
from dashboard.alerts.mail import MailServer
from dashboard.alerts.push_store import PushStore

GONE: Final = (404, 410)
"""How a push service says that a browser no longer wants messages (RFC 8030)."""

Message = dict[str, Any]
Send = Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class NotificationSettings:
    """How notifications may leave the hub."""

    allowed: AllowedAddresses = field(default_factory=AllowedAddresses)
    mail: MailServer | None = None
    contact: str = "mailto:operator@roomtone.invalid"
    """Whom a push service may ask about this hub."""


class Channels:
    """Sends one message on each channel of a rule. Runs on the event loop."""

    def __init__(self, settings: NotificationSettings, push: PushStore) -> None:
        self._settings = settings
        self._push = push

    def of(self, rule: Message, message: Message) -> dict[str, Send]:
        """Return what has to be called for each channel; each call returns why it failed, or an empty string."""
        calls: dict[str, Send] = {}
        if rule["webhook"]:
            calls["webhook"] = lambda: self._webhook(rule["webhook"], message)
        if rule["email"]:
            calls["email"] = lambda: self._email(rule["email"], message)
        if rule["push"]:
            calls["push"] = lambda: self._browsers(message)
        return calls

    async def _webhook(self, address: str, message: Message) -> str:
        headers = {"Content-Type": "application/json"}
        _, error = await post(address, msgspec.json.encode(message), headers, self._settings.allowed)
        return error

    async def _email(self, recipient: str, message: Message) -> str:
        server = self._settings.mail
        if server is None:
            return "no SMTP server: start ./run hub or roomtone dashboard with --smtp URL"
        title, body = words_of(message)
        return await asyncio.to_thread(server.send, recipient, title, body)

    async def _browsers(self, message: Message) -> str:
        title, body = words_of(message)
        path = f"/room/{message['node']}" if message["node"] else "/alerts"
        payload = json.dumps({"title": title, "body": body, "tag": f"alert-{message['alert']}", "path": path})
        key, subscriptions = await asyncio.gather(
            asyncio.to_thread(self._push.key), asyncio.to_thread(self._push.subscriptions)
        )
        if not subscriptions:
            return "no browser has asked for notifications"
        from dashboard.alerts.web_push import encrypt

        errors = []
        for subscription in subscriptions:
            headers = key.headers(subscription.endpoint, self._settings.contact, time.time())
            body_bytes = encrypt(payload.encode(), subscription)
            status, error = await post(subscription.endpoint, body_bytes, headers, self._settings.allowed)
            if status in GONE:
                await asyncio.to_thread(self._push.remove, subscription.endpoint)
            elif error:
                errors.append(f"{urlsplit(subscription.endpoint).hostname}: {error}")
        return "; ".join(errors)[:200]


def words_of(message: Message) -> tuple[str, str]:
    """Return title and text of a message, for people."""
    if message["state"] == "test":
        return f"Roomtone: test of {message['name']}", "This is a test. Nothing has happened."
    state = "begins" if message["state"] == "on" else "is over"
    measured = {
        "emotion": f"{message['emotion']} {message['value']:.0%} of {message['minutes']} min",
        "loud": f"{message['value']:.0f} dBFS over {message['minutes']} min",
        "episode": f"agitated for {message['value']:.0f} min",
    }[message["kind"]]
    return f"{message['room']}: {message['name']} {state}", measured
