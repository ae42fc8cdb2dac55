"""The live feed: applies messages of the broker to the registry and pushes changes to all open pages.

Everything runs on the event loop; only `Broker` has a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from dashboard.live.broker import Broker, Connection
from dashboard.live.decode import Incoming
from dashboard.live.level_requests import LevelRequests
from dashboard.live.registry import RoomRegistry
from dashboard.live.state_requests import StateRequests
from dashboard.live.views import Cursor, View, patch
from dashboard.live.window import RoomOrder, Wanted
from dashboard.settings import MAX_ROOMS
from edge.mqtt.address import BrokerAddress
from edge.protocol import Command, Response
from edge.util import timestamps

log = logging.getLogger(__name__)

PUSH_INTERVAL_S: Final = 0.25
LEVEL_CHECK_INTERVAL_S: Final = 1.0
SILENCE_CHECKS: Final = 10
"""Seconds between two checks for devices that send nothing any more: 10,000 take some milliseconds."""
FIRST_CONNECTION_S: Final = 3.0
ECHO_INTERVAL_S: Final = 1.0
ECHO_TIMEOUT_S: Final = 3.0
"""A broker that is frozen closes no connection: while a page is open its own messages have to come back."""
RESPONSE_TIMEOUT_S: Final = 5.0
"""A device that is online answers within milliseconds."""


@dataclass(eq=False)
class PageSubscription:
    """An open page that is sent changes."""

    push: Callable[[View], None] = lambda _view: None
    """Sends a view to the page."""
    cursor: Cursor = field(default_factory=Cursor)
    connection: Connection | None = None
    """The connection to the broker as the page last received it."""
    connected: bool = False
    """Whether the page's socket is connected."""
    visible: bool = True
    """Whether the tab is visible: a page in the background is sent nothing until it comes to the front."""
    levels: bool = False
    """Whether the page shows sound levels: devices publish them only on request."""
    wanted: Wanted = field(default_factory=Wanted)
    """Which rooms the page shows."""

    @property
    def active(self) -> bool:
        """Whether changes are to be sent to the page."""
        return self.connected and self.visible


class Feed:
    """Connects the registry, the broker and the open pages."""

    def __init__(self, address: BrokerAddress, base_topic: str, max_rooms: int = MAX_ROOMS) -> None:
        self.registry = RoomRegistry(max_rooms)
        self._order = RoomOrder(self.registry)
        self.broker = Broker(address, base_topic, self._on_message, self._on_connection)
        self._pages: set[PageSubscription] = set()
        self._levels = LevelRequests()
        self._states = StateRequests()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._frozen = False
        """Whether the broker, which has answered before, does not answer any more."""

    async def start(self) -> None:
        """Connect to the broker (waiting at most 3 s for it) and start to serve the pages."""
        self._loop = asyncio.get_running_loop()
        self.broker.start()
        # Events are not retained: one that is published before the subscription would be seen by no page.
        await asyncio.to_thread(self.broker.first_attempt_ended.wait, FIRST_CONNECTION_S)
        self._tasks = [
            asyncio.create_task(self._push_changes()),
            asyncio.create_task(self._request_from_devices()),
            asyncio.create_task(self._watch_broker()),
        ]

    async def stop(self) -> None:
        """Disconnect from the broker and stop serving the pages."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.broker.stop)

    def restore(self, earlier: Iterable[Incoming]) -> None:
        """Apply events recorded before this start, so that the first page is not empty."""
        for incoming in earlier:
            self._apply(incoming)
            room = self.registry.rooms.get(incoming.node)
            if room is not None and room.last is not None:
                room.seen = max(room.seen, room.last.at)

    def set_recorded(self, names: dict[str, str]) -> None:
        """Set which rooms are in the database, with their names."""
        if self.registry.set_recorded(names):
            self._changed.set()

    def set_alerted(self, nodes: frozenset[str]) -> None:
        """Set in which rooms an alert is on."""
        if self.registry.set_alerted(nodes):
            self._changed.set()

    @property
    def open_pages(self) -> int:
        """Number of pages that are open in browsers."""
        return len(self._pages)

    @property
    def connection(self) -> Connection:
        """The connection to the broker; lost also when the broker does not answer."""
        if self._frozen and self.broker.connection.state == "connected":
            return Connection("lost", "the broker does not answer", "broker_silent")
        return self.broker.connection

    @property
    def rejected(self) -> int:
        """Number of messages that were invalid or came from rooms beyond the limit."""
        return self.broker.refusals.total + self.registry.rejected

    def health(self) -> View:
        """Return the figures of `/healthz`."""
        return {
            "status": "ok",
            "broker": self.connection.state,
            "rooms": len(self.registry.rooms),
            "events": self.registry.arrived,
            "ignored": self.rejected,
        }

    async def command(self, node: str, verb: str) -> Response | None:
        """Send a command to a device and return its response, or None if none came within 5 s.

        Raises `ConnectionError` without a connection to the broker.
        """
        command = Command(transaction=secrets.token_hex(8), sent_at=timestamps.now())
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                return await asyncio.wrap_future(self.broker.request(node, verb, command))
        except TimeoutError:
            return None

    async def probe(self, timeout_s: float = RESPONSE_TIMEOUT_S) -> bool:
        """Return whether a message published to the broker is received back in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wrap_future(self.broker.request_echo())
        except (TimeoutError, ConnectionError):
            return False
        return True

    def erase(self, node: str, begin: float, end: float) -> None:
        """Remove erased utterances (`[begin, end)`, seconds since 1970) from all pages."""
        self.registry.erase(node, begin, end)
        self._changed.set()

    def first_view(self, page: PageSubscription) -> View:
        """Return the whole state, for a page that is being built."""
        return self._view(page)

    def snapshot(self, rooms: int, events: int, room: str = "") -> View:
        """Return the state of the first rooms and the newest events, at most so many of each.

        `room`: the node id of one that is wanted in any case.
        """
        view = patch(self.registry, Cursor(), self._order.window(Wanted(room=room), rooms))
        view["events"] = view.get("events", [])[:events]
        view["now"] = round(time.time() * 1000)
        return view

    def subscribe(self, page: PageSubscription) -> None:
        """Push to the page, while it is `active`, what changes after its cursor.

        Call `first_view` before: otherwise the first push is the whole state.
        """
        self._pages.add(page)
        self._changed.set()

    def unsubscribe(self, page: PageSubscription) -> None:
        """Stop sending changes to a page that was closed."""
        self._pages.discard(page)

    def set_page_state(
        self,
        page: PageSubscription,
        *,
        visible: bool | None = None,
        levels: bool | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """Update whether the page's tab is visible, whether it shows sound levels, and which rooms it shows."""
        if wanted is not None:
            page.wanted = wanted
        if visible is not None:
            page.visible = visible
        if levels is not None:
            page.levels = levels
        self._changed.set()

    async def _push_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for page in [p for p in self._pages if p.active]:
                try:
                    view = self._view(page)
                    if view:
                        page.push(view)
                except Exception:
                    log.exception("a page could not be updated")
                    self._pages.discard(page)
            if self._pages and self._order.is_behind:
                self._changed.set()
            await asyncio.sleep(PUSH_INTERVAL_S)

    def _view(self, page: PageSubscription) -> View:
        view = patch(self.registry, page.cursor, self._order.window(page.wanted))
        connection = self.connection
        if page.connection != connection:
            page.connection = connection
            view["broker"] = asdict(connection)
        if view:
            # The browser's clock may be wrong: ages are computed from the server's.
            view["now"] = round(time.time() * 1000)
        return view

    async def _watch_broker(self) -> None:
        # A broker that lets this client not read its own message is not frozen: it must have answered once.
        answered = False
        while True:
            await asyncio.sleep(ECHO_INTERVAL_S)
            if self.broker.connection.state != "connected" or not any(page.active for page in self._pages):
                answered = self._frozen = False
                continue
            echo = await self.probe(ECHO_TIMEOUT_S)
            answered = answered or echo
            if self._frozen != (answered and not echo):
                self._frozen = not self._frozen
                self._changed.set()

    async def _request_from_devices(self) -> None:
        connected_s = 0
        while True:
            if self.broker.connection.state != "connected":
                connected_s = 0
                self._levels.reset()
                self._states.reset()
            else:
                connected_s += 1
                if connected_s % SILENCE_CHECKS == 0:
                    self._find_silent(connected_s)
                self._request_levels()
                for node in self._states.due(self.registry.rooms, time.time()):
                    self.broker.send(node, "republish", Command(transaction=secrets.token_hex(8)))
            await asyncio.sleep(LEVEL_CHECK_INTERVAL_S)

    def _find_silent(self, connected_s: int) -> None:
        # Without a connection nothing can be heard of a device: that time does not count.
        now = time.time()
        if self.registry.find_silent(now, now - connected_s):
            self._changed.set()

    def _request_levels(self) -> None:
        pages = [page for page in self._pages if page.active and page.levels]
        shown = frozenset[str]().union(*(page.cursor.nodes for page in pages))
        rooms = [room for node in shown if (room := self.registry.rooms.get(node))]
        for node in self._levels.due(rooms, time.monotonic()):
            self.broker.send(node, "level_on", Command(transaction=secrets.token_hex(8)))

    def _on_message(self, incoming: Incoming) -> None:
        self._on_loop(self._apply, incoming)

    def _apply(self, incoming: Incoming) -> None:
        if self.registry.apply(incoming, time.time()):
            self._changed.set()

    def _on_connection(self, _connection: Connection) -> None:
        self._on_loop(self._changed.set)

    def _on_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            pass  # The loop was closed between two messages: the process is shutting down.
