"""`/api/live`: what is live, over one WebSocket for each open page.

The server sends first what the page shows, then what has changed, at most four times a second (`dashboard.live.feed`).
The page sends `{"visible": bool, "levels": bool, "show": {"first": int, "search": str, "room": str}}`, of which each
may be left out, and, when it has received nothing for a while, `{"ping": true}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any, Final

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from dashboard.api.common import Services
from dashboard.auth.middleware import identity_of
from dashboard.auth.open_sockets import OpenSockets
from dashboard.live.feed import Feed, PageSubscription
from dashboard.live.views import View
from dashboard.live.window import Wanted

log = logging.getLogger(__name__)

MAX_WAITING: Final = 16
"""Messages that wait for a slow page; with more its socket is closed, and it begins anew with everything."""
MAX_MESSAGE: Final = 1024
"""Bytes of a message from a page."""
TRY_AGAIN: Final = 1013
"""WebSocket status "try again later"."""
TOO_BIG: Final = 1009


def router(services: Services, sockets: OpenSockets) -> APIRouter:
    """Return the route of the WebSocket that sends changes to open pages.

    `sockets` keeps the open ones, so that they end with their session.
    """
    routes = APIRouter(prefix="/api", tags=["live"])

    @routes.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        if not sockets.has_room(identity_of(socket)):
            await socket.close(TRY_AGAIN)
            return
        with sockets.registered(socket, identity_of(socket)):
            await _serve(services.feed, socket)

    return routes


async def _serve(feed: Feed, socket: WebSocket) -> None:
    waiting: asyncio.Queue[View] = asyncio.Queue(MAX_WAITING)
    overflow = asyncio.Event()

    def push(view: View) -> None:
        try:
            waiting.put_nowait(view)
        except asyncio.QueueFull:
            overflow.set()

    page = PageSubscription(push=push, connected=True)
    waiting.put_nowait(feed.first_view(page))
    feed.subscribe(page)
    tasks = [
        asyncio.create_task(_send(socket, waiting)),
        asyncio.create_task(_receive(feed, socket, page, waiting)),
        asyncio.create_task(overflow.wait()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        feed.unsubscribe(page)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(TRY_AGAIN)


async def _send(socket: WebSocket, waiting: asyncio.Queue[View]) -> None:
    while True:
        await socket.send_text(json.dumps(await waiting.get(), separators=(",", ":")))


def _wanted(show: Any) -> Wanted | None:
    """Return which rooms a page wants to see; None for anything else than that."""
    try:
        return msgspec.convert(show, Wanted)
    except msgspec.ValidationError:
        return None


async def _receive(
    feed: Feed, socket: WebSocket, page: PageSubscription, waiting: asyncio.Queue[View]
) -> None:
    while True:
        try:
            text = await socket.receive_text()
        except (WebSocketDisconnect, KeyError):
            return
        if len(text) > MAX_MESSAGE:
            await socket.close(TOO_BIG)
            return
        with contextlib.suppress(ValueError, AttributeError):
            message = json.loads(text)
            state = {key: message[key] for key in ("visible", "levels") if isinstance(message.get(key), bool)}
            wanted = _wanted(message.get("show"))
            if state or wanted:
                feed.set_page_state(page, **state, wanted=wanted)
            if message.get("ping") is True and not waiting.full():
                waiting.put_nowait({"pong": True})
