"""Guest links: once, ten minutes, one page."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="starlette is installed with roomtone[dashboard]")

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.auth.accounts import digest
from dashboard.auth.guests import LIFETIME_S, MAX_LINKS, GuestLinks
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.middleware import AuthMiddleware


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def links(clock):
    return GuestLinks(lambda: clock[0])


def test_a_link_works_once(links):
    secret = links.create()
    assert links.is_open(secret)
    session = links.redeem(secret)
    assert session not in (None, secret)
    assert links.redeem(secret) is None
    assert not links.is_open(secret)
    assert links.identify(digest(session)).role == "guest"
    assert links.identify(digest(secret)) is None


def test_a_link_and_its_guest_end_after_ten_minutes_each(links, clock):
    old, secret = links.create(), links.create()
    clock[0] = LIFETIME_S - 1
    session = digest(links.redeem(secret))
    clock[0] = LIFETIME_S
    assert links.redeem(old) is None
    assert links.identify(session) is not None
    clock[0] = 2 * LIFETIME_S - 1
    assert links.identify(session) is None


def test_a_new_link_replaces_the_oldest_of_too_many(links):
    first = links.create()
    others = [links.create() for _ in range(MAX_LINKS)]
    assert not links.is_open(first)
    assert all(links.is_open(secret) for secret in others)


class NoSessions:
    """Accounts in which no session is open."""

    def identify(self, _session):
        return None


async def socket_echo(websocket):
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def client(links):
    async def answer(_request):
        return PlainTextResponse("ok")

    inner = Starlette(
        routes=[
            WebSocketRoute("/api/live", socket_echo),
            Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"]),
        ]
    )
    app = AuthMiddleware(inner, NoSessions(), RequestLimiter(), guest_links=links)
    made = TestClient(app, base_url="http://hub.local", follow_redirects=False)
    made.cookies.set("roomtone", links.redeem(links.create()))
    return made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/try", 200),
        ("POST", "/api/try", 200),
        ("GET", "/api/hub", 200),
        ("POST", "/logout", 200),
        ("GET", "/api/rooms", 403),
        ("GET", "/api/fleet", 403),
        ("GET", "/metrics", 403),
        ("GET", "/api/openapi.json", 403),
        ("POST", "/api/password", 403),
        ("POST", "/api/tokens", 403),
        ("POST", "/api/push", 403),
        ("POST", "/api/guest-links", 403),
        ("POST", "/api/try/more", 403),
        ("DELETE", "/api/rooms/kitchen", 403),
    ],
)
def test_a_guest_has_the_page_try_it_only(client, method, path, status):
    assert client.request(method, path).status_code == status


def test_a_guest_is_led_to_the_page_and_gets_nothing_live(client):
    answer = client.get("/fleet", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/try")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/live"):
        pass


def test_without_guest_links_their_page_is_not_public():
    app = AuthMiddleware(Starlette(), NoSessions(), RequestLimiter())
    assert TestClient(app, base_url="http://hub.local").get("/guest").status_code == 401
