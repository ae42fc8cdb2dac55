"""The page *Room*: live tile, charts of the day, week and month, and the list of utterances."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nicegui.elements.echart  # noqa: F401  # Registers the charts' scripts for `room.js`.
from nicegui import ui
from nicegui.events import GenericEventArguments
from sqlalchemy.exc import SQLAlchemyError

from dashboard import theme
from dashboard.auth.middleware import identity_of
from dashboard.db.engine import describe_error
from dashboard.db.history import History, zone_of
from dashboard.live.feed import Feed, PageSubscription
from dashboard.live.registry import Room
from dashboard.live.views import View

log = logging.getLogger(__name__)

UTTERANCES_PER_REQUEST = 100


class RoomView(ui.element, component=Path(__file__).parent / "room.js"):
    """Live tile, charts and list, rendered in the browser."""

    def __init__(self, node: str, name: str, first: View, recorded: bool, operator: bool) -> None:
        super().__init__()
        self.props["node"] = node
        self.props["name"] = name
        self.props["first"] = first
        self.props["recorded"] = recorded
        self.props["operator"] = operator


def filter_view(view: View, node: str) -> View:
    """Return the part of a view that belongs to one room."""
    return {
        "rooms": [room for room in view.get("rooms", ()) if room["node"] == node],
        "levels": {n: level for n, level in view.get("levels", {}).items() if n == node},
        "events": [event for event in view.get("events", ()) if event["node"] == node],
        "now": view.get("now"),
        "broker": view.get("broker"),
    }


def register(feed: Feed, history: History | None) -> None:
    """Add the page."""

    @ui.page("/room/{node}", title="Room · Roomtone")
    async def room(node: str) -> None:
        if re.fullmatch(r"[a-z0-9_-]{1,64}", node) is None:
            node = "-"
        known = feed.registry.rooms.get(node)
        name = known.name if known else await _query(history, "room_name", node) or Room(node).name
        page = PageSubscription()
        with theme.frame("/"):
            operator = identity_of(ui.context.client.request).has_role("operator")
            view = RoomView(
                node, name, filter_view(feed.first_view(page), node), history is not None, operator
            )

        def push(changes: View) -> None:
            own = filter_view(changes, node)
            if own["rooms"] or own["levels"] or own["events"] or own["broker"]:
                view.run_method("patch", own)

        async def load_charts(event: GenericEventArguments) -> None:
            zone = zone_of(str(event.args)[:64])
            charts = await _query(history, "charts", node, zone, datetime.now(UTC))
            view.run_method("chart", charts)

        async def load_utterances(event: GenericEventArguments) -> None:
            before = event.args if isinstance(event.args, int) else round(time.time() * 1000)
            listed = await _query(history, "utterances", node, before, UTTERANCES_PER_REQUEST)
            view.run_method("add", listed or [])

        page.push = push
        view.on("charts", load_charts)
        view.on("more", load_utterances)
        view.on("visible", lambda event: feed.set_page_state(page, visible=event.args is True))
        client = ui.context.client
        client.on_connect(lambda: feed.set_page_state(page, connected=True))
        client.on_disconnect(lambda: feed.set_page_state(page, connected=client.has_socket_connection))
        client.on_delete(lambda: feed.unsubscribe(page))
        feed.subscribe(page)


async def _query(history: History | None, what: str, *arguments: Any) -> Any:
    """Run a query in a thread; return None without a database or if it does not answer."""
    if history is None:
        return None
    try:
        return await asyncio.to_thread(getattr(history, what), *arguments)
    except SQLAlchemyError as error:
        log.error("the database does not answer: %s", describe_error(error))
        return None
