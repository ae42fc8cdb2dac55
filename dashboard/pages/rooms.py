"""The first page: a tile for each room, and below them the utterances as they come."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui
from nicegui.events import GenericEventArguments

from dashboard import theme
from dashboard.auth.middleware import identity_of
from dashboard.live.feed import Hub, Viewer
from dashboard.live.views import View


class Board(ui.element, component=Path(__file__).parent / "rooms.js"):
    """Tiles and list, drawn in the browser; it takes one view to begin with, then patches."""

    def __init__(self, first: View, broker: str, base_topic: str, operator: bool) -> None:
        super().__init__()
        self.props["first"] = first
        self.props["broker"] = broker
        self.props["baseTopic"] = base_topic
        self.props["operator"] = operator

    def patch(self, view: View) -> None:
        """Sends what changed. What is in it reaches the page as data and is shown as text, never as HTML."""
        self.run_method("patch", view)


def register(hub: Hub) -> None:
    """Adds the page."""

    @ui.page("/", title="Rooms · Roomtone")
    def rooms() -> None:
        viewer = Viewer()
        with theme.frame("/"):
            operator = identity_of(ui.context.client.request).may("operator")
            board = Board(hub.first_view(viewer), str(hub.broker.address), hub.broker.base_topic, operator)
        viewer.push = board.patch

        def seen(event: GenericEventArguments) -> None:
            hub.look(viewer, visible=event.args is True)

        board.on("seen", seen)
        client = ui.context.client
        client.on_connect(lambda: hub.look(viewer, connected=True))
        client.on_disconnect(lambda: hub.look(viewer, connected=client.has_socket_connection))
        client.on_delete(lambda: hub.leave(viewer))
        hub.join(viewer)
