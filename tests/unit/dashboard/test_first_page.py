"""What a browser requests before it shows the first page, counted in files, and what the page has in it.

Seconds depend on the machine: `./run bench hub --only pages` measures them.
"""

from __future__ import annotations

import functools
import json
import struct
import time
from html.parser import HTMLParser

import pytest

pytest.importorskip("fastapi", reason="fastapi is installed with roomtone[dashboard]")

from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard import spa
from dashboard.api.common import Services
from dashboard.auth.accounts import LOCAL, Identity
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.middleware import IDENTITY, PUBLIC
from dashboard.first_state import FIRST_EVENTS, FIRST_ROOMS, first_state
from dashboard.live.decode import Incoming
from dashboard.live.feed import Feed
from dashboard.spa import STATIC
from edge.mqtt.address import BrokerAddress
from edge.protocol import Info
from tests.support.messages import event_of

HOSTILE = "</script><script>alert(1)</script><!--<script>"
GUEST = Identity("guest", "guest", b"", "")


class Head(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.preloaded: list[str] = []
        self.data: list[str] = []
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "script":
            self._in_data = known.get("type") == "application/json"
            if not self._in_data:
                self.scripts.append(known["src"] or "")
        elif known.get("rel") == "modulepreload":
            self.scripts.append(known["href"] or "")
        elif known.get("rel") == "stylesheet":
            self.styles.append(known["href"] or "")
        elif known.get("rel") == "preload":
            self.preloaded.append(known["href"] or "")

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_data = False


def first_page() -> Head:
    head = Head()
    head.feed((STATIC / "index.html").read_text(encoding="utf-8"))
    return head


def test_the_first_page_needs_few_files():
    head = first_page()
    assert 1 <= len(head.scripts) <= 3 and len(head.styles) == 1
    for address in (*head.scripts, *head.styles):
        assert (STATIC / address.lstrip("/")).is_file()


@pytest.fixture
def services():
    feed = Feed(BrokerAddress("localhost", 1883), "roomtone")
    for n in range(FIRST_ROOMS + 6):
        node = f"room-{n:02}"
        feed.registry.apply(
            Incoming(node, "info", Info(node=node, name=HOSTILE, version="0.1.0")), time.time()
        )
        feed.registry.apply(Incoming(node, "event", event_of("happy", time.time(), seq=n + 1)), time.time())
    return Services(feed, RequestLimiter())


def ask(services, identity, path):
    """The page as a browser reads it, and its answer."""
    inner = FastAPI()
    spa.install(inner, functools.partial(first_state, services))

    async def application(scope, receive, send):
        scope[IDENTITY] = identity
        await inner(scope, receive, send)

    answer = TestClient(application).get(path, headers={"Accept": "text/html"})
    head = Head()
    head.feed(answer.text)
    return head, answer


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/no/such/page", 404)])
def test_the_page_has_in_it_what_it_shows_first(services, path, status):
    head, answer = ask(services, LOCAL, path)
    assert answer.status_code == status
    assert len(head.scripts) == len(first_page().scripts) and head.preloaded == []
    state = json.loads("".join(head.data))
    assert state["hub"]["name"] == "local"
    live = state["live"]
    assert [room["name"] for room in live["rooms"]] == [HOSTILE] * FIRST_ROOMS
    assert live["totals"]["rooms"] == FIRST_ROOMS + 6
    assert len(live["events"]) == FIRST_EVENTS
    # Only the socket knows whether the connection to the broker is still there: nothing is called live before.
    assert "broker" not in live


def test_a_page_about_one_room_has_it_in_any_case(services):
    last = f"room-{FIRST_ROOMS + 5:02}"
    state = json.loads("".join(ask(services, LOCAL, f"/room/{last}")[0].data))
    assert last in {room["node"] for room in state["live"]["rooms"]}


def test_what_a_page_shows_first_is_not_kept_by_the_browser(services):
    assert ask(services, LOCAL, "/")[1].headers["cache-control"] == "no-store"


def test_the_page_of_a_guest_has_nothing_of_the_rooms(services):
    head, answer = ask(services, GUEST, "/try")
    assert json.loads("".join(head.data))["live"] is None
    assert "room-0" not in answer.text and "localhost" not in answer.text


@pytest.mark.parametrize("path", ["/robots.txt", "/favicon.ico", "/phone"])
def test_who_is_not_logged_in_gets_an_empty_page_at_a_public_address(services, path):
    head, answer = ask(services, None, path)
    assert answer.status_code == 404
    assert json.loads("".join(head.data)) is None
    assert "room-0" not in answer.text and "localhost" not in answer.text


def test_the_icons_are_there_for_launchers_that_take_no_svg_and_before_a_login(services):
    icons = json.loads((STATIC / "manifest.webmanifest").read_text(encoding="utf-8"))["icons"]
    wanted = {(icon["sizes"], icon["purpose"]): icon["src"] for icon in icons if icon["type"] == "image/png"}
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} == wanted.keys()
    assert '<link rel="apple-touch-icon" href="/apple-touch-icon.png"' in (STATIC / "index.html").read_text()
    for sizes, path in [
        *((key[0], src) for key, src in wanted.items()),
        ("180x180", "/apple-touch-icon.png"),
    ]:
        assert path in PUBLIC
        answer = ask(services, None, path)[1]
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        # The begin of a PNG: its signature, then the size.
        width, height = struct.unpack(">8x4x4xII", answer.content[:24])
        assert (answer.content[1:4], f"{width}x{height}") == (b"PNG", sizes)
