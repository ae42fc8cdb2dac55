"""Limits of what a request may bring: the size and duration of its body, the messages of its socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Scope, Send

MAX_BODY: Final = 1 << 20
MAX_FORM: Final = 4096
"""Bytes of the login form, which is read before anyone has logged in."""
BODY_TIMEOUT_S: Final = 20.0
FORM_TIMEOUT_S: Final = 5.0
POLICY_VIOLATION: Final = 1008
"""WebSocket status of a socket with too many messages."""


def limit_body(receive: Receive, max_bytes: int = MAX_BODY, timeout_s: float = BODY_TIMEOUT_S) -> Receive:
    """Limit a request's body: one that is too long or too slow ends as if the client had disconnected."""
    size, deadline, complete = 0, time.monotonic() + timeout_s, False

    async def limited() -> Message:
        nonlocal size, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        size += len(message.get("body", b""))
        if size > max_bytes:
            return {"type": "http.disconnect"}
        complete = not message.get("more_body", False)
        return message

    return limited


class SocketLimit:
    """Closes a WebSocket whose client sends more messages than `allow()` permits."""

    def __init__(self, receive: Receive, send: Send, allow: Callable[[], bool]) -> None:
        self._receive = receive
        self._send = send
        self._allow = allow
        self._closed = False

    async def receive(self) -> Message:
        """Return the next message, or a disconnection when there are too many."""
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._allow():
            return message
        if not self._closed:
            await self.send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

    async def send(self, message: Message) -> None:
        """Send a message, unless the socket has been closed here."""
        if self._closed:
            return
        self._closed = message["type"] == "websocket.close"
        await self._send(message)


def is_limited_by_route(scope: Scope, prefixes: tuple[str, ...]) -> bool:
    """Return whether a route limits its body itself, because it accepts larger ones."""
    return str(scope["path"]).startswith(prefixes)
