"""The page *Rooms*: a tile for each room, and the live list of utterances."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui
from nicegui.events import GenericEventArguments

from dashboard import theme
from dashboard.auth.middleware import identity_of
from dashboard.live.feed import Feed, PageSubscription
from dashboard.live.views import View


class Board(ui.element, component=Path(__file__).parent / "rooms.js"):
    """Tiles and list, rendered in the browser from a first view and patches."""

    def __init__(self, first: View, broker: str, base_topic: str, operator: bool) -> None:
        super().__init__()
        self.props["first"] = first
        self.props["broker"] = broker
        self.props["baseTopic"] = base_topic
        self.props["operator"] = operator

    def patch(self, view: View) -> None:
        """Send a patch to the browser, where its content is shown as text, never as HTML."""
        self.run_method("patch", view)


def register(feed: Feed) -> None:
    """Add the page."""

    @ui.page("/", title="Rooms · Roomtone")
    def rooms() -> None:
        page = PageSubscription()
        with theme.frame("/"):
            operator = identity_of(ui.context.client.request).has_role("operator")
            board = Board(feed.first_view(page), str(feed.broker.address), feed.broker.base_topic, operator)
        page.push = board.patch

        def set_visible(event: GenericEventArguments) -> None:
            feed.set_page_state(page, visible=event.args is True)

        board.on("visible", set_visible)
        client = ui.context.client
        client.on_connect(lambda: feed.set_page_state(page, connected=True))
        client.on_disconnect(lambda: feed.set_page_state(page, connected=client.has_socket_connection))
        client.on_delete(lambda: feed.unsubscribe(page))
        feed.subscribe(page)
