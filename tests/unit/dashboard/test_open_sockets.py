"""How many pages may be open at once."""

import contextlib

import pytest

pytest.importorskip("starlette", reason="starlette is installed with roomtone[dashboard]")

from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard.api import live
from dashboard.api.common import Services
from dashboard.auth import open_sockets
from dashboard.auth.accounts import Identity
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.middleware import AuthMiddleware
from dashboard.auth.open_sockets import OpenSockets
from dashboard.live.feed import Feed
from edge.mqtt.address import BrokerAddress
from tests.support.waiting import until

BEARER = {"Authorization": "Bearer secret"}


def test_one_more_page_than_a_user_may_have_is_told_to_try_again(monkeypatch):
    monkeypatch.setattr(open_sockets, "MAX_OPEN_PER_USER", 3)
    services = Services(Feed(BrokerAddress("127.0.0.1", 1), "roomtone"), RequestLimiter())
    application = FastAPI()
    application.include_router(live.router(services, OpenSockets()))
    client = TestClient(AuthMiddleware(application, None, services.limiter, "secret"), base_url="http://hub")

    def is_served():
        with client.websocket_connect("/api/live", headers=BEARER) as page:
            try:
                return bool(page.receive_json())
            except WebSocketDisconnect:
                return False

    with contextlib.ExitStack() as pages:
        for _ in range(3):
            page = pages.enter_context(client.websocket_connect("/api/live", headers=BEARER))
            assert page.receive_json()
        with client.websocket_connect("/api/live", headers=BEARER) as refused:
            with pytest.raises(WebSocketDisconnect) as closed:
                refused.receive_json()
            assert closed.value.code == live.TRY_AGAIN
    # A page that was closed makes room, a moment later.
    until(is_served)


def test_pages_of_one_user_leave_room_for_others(monkeypatch):
    monkeypatch.setattr(open_sockets, "MAX_OPEN_PER_USER", 2)
    monkeypatch.setattr(open_sockets, "MAX_OPEN", 3)
    ann, bob, eve = (Identity(name, "viewer") for name in ("ann", "bob", "eve"))
    sockets = OpenSockets()
    with contextlib.ExitStack() as pages:
        for number in range(2):
            pages.enter_context(sockets.registered(number, ann))
        assert not sockets.has_room(ann)
        assert sockets.has_room(bob)
        pages.enter_context(sockets.registered("bob", bob))
        assert not sockets.has_room(eve)
    assert sockets.has_room(ann)
