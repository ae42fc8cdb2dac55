"""The heart of the dashboard: takes what the broker brings, and gives every open page what changed, in small doses.

All of it runs on the event loop; only `Broker` has a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from dashboard.live.broker import PROBE, Broker, Connection
from dashboard.live.decode import Incoming
from dashboard.live.levels import LevelRequests
from dashboard.live.rooms import House
from dashboard.live.views import Cursor, View, patch
from edge.mqtt.address import BrokerAddress
from edge.protocol.messages import Command, Response
from edge.util import timestamps

log = logging.getLogger(__name__)

PUSH_EVERY_S: Final = 0.25
ASK_EVERY_S: Final = 1.0
SETTLED_S: Final = 3.0
ANSWER_S: Final = 5.0
"""A room that is there answers in milliseconds."""


@dataclass(eq=False)
class Viewer:
    """An open page."""

    push: Callable[[View], None] = lambda _view: None
    """Sends a view to it."""
    cursor: Cursor = field(default_factory=Cursor)
    connection: Connection | None = None
    """What it was last told of the broker."""
    connected: bool = False
    """Whether the page's socket is there."""
    visible: bool = True
    """Whether somebody can see it: a page in a background tab is told nothing until it comes to the front."""

    @property
    def watching(self) -> bool:
        """Whether it is worth telling it anything."""
        return self.connected and self.visible


class Hub:
    """The house, the broker and the open pages."""

    def __init__(self, address: BrokerAddress, base_topic: str) -> None:
        self.house = House()
        self.broker = Broker(address, base_topic, self._from_broker, self._connection_changed, self._answered)
        self._waiting: dict[tuple[str, str], asyncio.Future[Response]] = {}
        self._viewers: set[Viewer] = set()
        self._levels = LevelRequests()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connects to the broker, for which it does not wait long, and begins to serve the pages."""
        self._loop = asyncio.get_running_loop()
        self.broker.start()
        # Events are not retained: one that comes before we have subscribed would be seen by no page.
        await asyncio.to_thread(self.broker.settled.wait, SETTLED_S)
        self._tasks = [asyncio.create_task(self._tell()), asyncio.create_task(self._ask())]

    async def stop(self) -> None:
        """Ends both."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.broker.stop)

    def remember(self, earlier: Iterable[Incoming]) -> None:
        """Takes what was recorded before this dashboard started, so that its first page is not empty."""
        for incoming in earlier:
            self._apply(incoming)
            room = self.house.rooms.get(incoming.node)
            if room is not None and room.last is not None:
                room.seen = room.last.at

    def health(self) -> View:
        """For `/healthz`."""
        return {
            "status": "ok",
            "broker": self.broker.connection.state,
            "rooms": len(self.house.rooms),
            "events": self.house.arrived,
            "ignored": self.broker.ignored + self.house.refused,
        }

    async def command(self, node: str, verb: str) -> Response | None:
        """Sends a command to a room and waits for its answer; None: there is none. Raises `ConnectionError`."""
        command = Command(transaction=secrets.token_hex(8), sent_at=timestamps.now())
        key = node, command.transaction
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            if not self.broker.send(node, verb, command):
                raise ConnectionError("there is no connection to the broker just now")
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    async def probe(self) -> bool:
        """Whether a message to the broker comes back from it in time."""
        transaction = secrets.token_hex(8)
        back: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[PROBE, transaction] = back
        try:
            if not self.broker.publish(PROBE, transaction.encode("ascii")):
                return False
            async with asyncio.timeout(ANSWER_S):
                await back
        except TimeoutError:
            return False
        else:
            return True
        finally:
            del self._waiting[PROBE, transaction]

    def forget(self, node: str, begin: float, end: float) -> None:
        """What was erased is not shown any more."""
        self.house.forget(node, begin, end)
        self._news.set()

    def first_view(self, viewer: Viewer) -> View:
        """Everything, for a page that is being built."""
        return self._view(viewer)

    def join(self, viewer: Viewer) -> None:
        """From now on the page is told what changes."""
        self._viewers.add(viewer)
        self._news.set()

    def leave(self, viewer: Viewer) -> None:
        """The page is gone."""
        self._viewers.discard(viewer)

    def look(self, viewer: Viewer, *, connected: bool | None = None, visible: bool | None = None) -> None:
        """The page's socket came or went, or the page itself came to the front or left it."""
        if connected is not None:
            viewer.connected = connected
        if visible is not None:
            viewer.visible = visible
        self._news.set()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for viewer in [v for v in self._viewers if v.watching]:
                try:
                    view = self._view(viewer)
                    if view:
                        viewer.push(view)
                except Exception:
                    log.exception("a page could not be told")
                    self._viewers.discard(viewer)
            await asyncio.sleep(PUSH_EVERY_S)

    def _view(self, viewer: Viewer) -> View:
        view = patch(self.house, viewer.cursor)
        connection = self.broker.connection
        if viewer.connection != connection:
            viewer.connection = connection
            view["broker"] = {"state": connection.state, "detail": connection.detail}
        if view:
            # The reader's clock may be wrong; ages are counted from this one.
            view["now"] = round(time.time() * 1000)
        return view

    async def _ask(self) -> None:
        while True:
            if self.broker.connection.state != "connected":
                self._levels.forget()
            elif any(viewer.watching for viewer in self._viewers):
                for node in self._levels.due(self.house.rooms.values(), time.monotonic()):
                    self.broker.send(node, "level_on", Command(transaction=secrets.token_hex(8)))
            await asyncio.sleep(ASK_EVERY_S)

    def _from_broker(self, incoming: Incoming) -> None:
        self._on_loop(self._apply, incoming)

    def _apply(self, incoming: Incoming) -> None:
        if self.house.apply(incoming, time.time()):
            self._news.set()

    def _answered(self, node: str, response: Response) -> None:
        self._on_loop(self._take_answer, node, response)

    def _take_answer(self, node: str, response: Response) -> None:
        answer = self._waiting.get((node, response.transaction))
        if answer is not None and not answer.done():
            answer.set_result(response)

    def _connection_changed(self, _connection: Connection) -> None:
        self._on_loop(self._news.set)

    def _on_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            pass  # The loop has ended between two messages: the process is on its way out.
