"""One room: what is said now, its day, its week and its month, and the utterances one by one."""

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
from dashboard.db.engine import reason
from dashboard.db.history import History, zone_of
from dashboard.live.feed import Hub, Viewer
from dashboard.live.rooms import Room
from dashboard.live.views import View

log = logging.getLogger(__name__)

PAGE = 100


class RoomView(ui.element, component=Path(__file__).parent / "room.js"):
    """Live tile, charts and list, drawn in the browser."""

    def __init__(self, node: str, name: str, first: View, recorded: bool, operator: bool) -> None:
        super().__init__()
        self.props["node"] = node
        self.props["name"] = name
        self.props["first"] = first
        self.props["recorded"] = recorded
        self.props["operator"] = operator


def only(view: View, node: str) -> View:
    """The part of a view that is about one room."""
    return {
        "rooms": [room for room in view.get("rooms", ()) if room["node"] == node],
        "levels": {n: level for n, level in view.get("levels", {}).items() if n == node},
        "events": [event for event in view.get("events", ()) if event["node"] == node],
        "now": view.get("now"),
        "broker": view.get("broker"),
    }


def register(hub: Hub, history: History | None) -> None:
    """Adds the page."""

    @ui.page("/room/{node}", title="Room · Roomtone")
    async def room(node: str) -> None:
        if re.fullmatch(r"[a-z0-9_-]{1,64}", node) is None:
            node = "-"
        known = hub.house.rooms.get(node)
        name = known.name if known else await _ask(history, "name_of", node) or Room(node).name
        viewer = Viewer()
        with theme.frame("/"):
            operator = identity_of(ui.context.client.request).may("operator")
            view = RoomView(node, name, only(hub.first_view(viewer), node), history is not None, operator)

        def push(news: View) -> None:
            mine = only(news, node)
            if mine["rooms"] or mine["levels"] or mine["events"] or mine["broker"]:
                view.run_method("patch", mine)

        async def look(event: GenericEventArguments) -> None:
            zone = zone_of(str(event.args)[:64])
            charts = await _ask(history, "room", node, zone, datetime.now(UTC))
            view.run_method("chart", charts)

        async def more(event: GenericEventArguments) -> None:
            before = event.args if isinstance(event.args, int) else round(time.time() * 1000)
            listed = await _ask(history, "utterances", node, before, PAGE)
            view.run_method("add", listed or [])

        viewer.push = push
        view.on("look", look)
        view.on("more", more)
        view.on("seen", lambda event: hub.look(viewer, visible=event.args is True))
        client = ui.context.client
        client.on_connect(lambda: hub.look(viewer, connected=True))
        client.on_disconnect(lambda: hub.look(viewer, connected=client.has_socket_connection))
        client.on_delete(lambda: hub.leave(viewer))
        hub.join(viewer)


async def _ask(history: History | None, what: str, *arguments: Any) -> Any:
    """A query in a thread of its own; nothing where nothing is recorded or the database does not answer."""
    if history is None:
        return None
    try:
        return await asyncio.to_thread(getattr(history, what), *arguments)
    except SQLAlchemyError as error:
        log.error("the database does not answer: %s", reason(error))
        return None
