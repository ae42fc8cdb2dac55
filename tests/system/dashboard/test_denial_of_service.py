"""Clients that never finish what they say (slowloris), and a device that never stops: others are served as before.

Log-ins without end are in test_login.py, uploads in test_try_it.py, bodies without end in both and in test_api.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress

import httpx
import pytest
from fastapi import FastAPI

from dashboard.api import live
from dashboard.api.common import Services
from dashboard.auth import open_sockets
from dashboard.auth.accounts import Identity
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.middleware import AuthMiddleware
from dashboard.auth.open_sockets import OpenSockets
from dashboard.live.feed import Feed
from edge import protocol
from edge.mqtt.address import BrokerAddress
from tests.conftest import ROOT
from tests.support.broker import free_port
from tests.support.dashboard import AUTHORIZED, Rooms, health
from tests.support.messages import event_of
from tests.support.waiting import until

SLOW = 200
HEADER_S = 10
"""`read_header` of the Caddyfile."""


@pytest.fixture
def proxy(url, tmp_path):
    """The very Caddyfile that is shipped, in front of the dashboard; its HTTPS address."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.fail("these tests need the TLS proxy: apt-get install caddy")
    port = free_port()
    own = {
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "ROOMTONE_HTTP_PORT": str(free_port()),
        "ROOMTONE_HTTPS_PORT": str(port),
        "ROOMTONE_BIND": "127.0.0.1",
        "ROOMTONE_DASHBOARD": url.removeprefix("http://"),
    }
    config = ROOT / "provisioning" / "hub" / "Caddyfile"
    with (tmp_path / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [caddy, "run", "--adapter", "caddyfile", "--config", str(config)],
            env=os.environ | own, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: has_certificate(port), 60, (tmp_path / "caddy.log").read_text)
        yield port
    finally:
        process.terminate()
        process.wait(15)


def has_certificate(port: int) -> bool:
    """Whether the proxy has made its certificates: it listens before that."""
    try:
        ssl.get_server_certificate(("localhost", port), timeout=10)
    except OSError:
        return False
    return True


def slow(port: int, count: int, wrap, head: bytes) -> list[socket.socket]:
    """So many that have sent a part of a request, and go on with a byte now and then."""
    made = []
    for _ in range(count):
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        one = wrap(plain)
        one.sendall(head)
        one.settimeout(0.01)
        made.append(one)
    return made


def drip(clients: list[socket.socket]) -> int:
    """One more byte of each; how many are still let."""
    alive = 0
    for one in clients:
        with suppress(OSError):
            one.sendall(b"a")
            with suppress(TimeoutError):
                if not one.recv(1000):
                    continue
            alive += 1
    return alive


def slowest_page(url: str, rounds: int, between) -> float:
    worst = 0.0
    for _ in range(rounds):
        begin = time.monotonic()
        assert httpx.get(url, timeout=10, headers=AUTHORIZED).status_code == 200
        worst = max(worst, time.monotonic() - begin)
        between()
    return worst


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /api/rooms/kitchen/commands/mute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n",
    ],
    ids=["head", "body"],
)
def test_slow_clients_of_the_dashboard_keep_nobody_from_a_page(url, head):
    clients = slow(int(url.rpartition(":")[2]), SLOW, lambda plain: plain, head)
    try:
        assert slowest_page(url, 5, lambda: drip(clients)) < 2
        assert health(url)["status"] == "ok"
    finally:
        for one in clients:
            one.close()


def test_the_proxy_ends_slow_clients_and_others_go_on(url, proxy):
    context = ssl._create_unverified_context()

    def tls(plain: socket.socket) -> socket.socket:
        return context.wrap_socket(plain, server_hostname="localhost")

    begin = time.monotonic()
    clients = slow(proxy, SLOW, tls, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    try:
        # Nobody who comes over a proxy is let in without the token.
        asked = time.monotonic()
        assert httpx.get(f"https://localhost:{proxy}/", verify=False).status_code == 401
        assert time.monotonic() - asked < 2
        until(lambda: drip(clients) == 0, HEADER_S + 20)
        assert time.monotonic() - begin > HEADER_S - 5
        assert slowest_page(url, 1, lambda: None) < 2
    finally:
        for one in clients:
            one.close()


def test_a_device_that_floods_with_events_keeps_nobody_from_a_page(mosquitto, url, rooms):
    flooding = Rooms(mosquitto)
    stop = threading.Event()
    sent = 0

    def flood() -> None:
        nonlocal sent
        while not stop.is_set():
            message = protocol.encode(event_of("angry", time.time(), seq=sent + 1))
            flooding.client.publish("roomtone/loud/event", message, qos=0)
            sent += 1
            if sent % 50 == 0:
                time.sleep(0.02)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        assert slowest_page(url, 8, lambda: time.sleep(0.3)) < 2
        rooms.appear("kitchen", "Kitchen")
        rooms.publish("kitchen", protocol.EVENT, event_of("happy", time.time(), seq=1))
        until(lambda: health(url)["rooms"] == 2, 15)
    finally:
        stop.set()
        thread.join()
        flooding.close()
    assert sent > 500, "this was no flood"
    until(lambda: health(url)["events"] > 500)


class OpenPage:
    """A page that has opened its socket in an application, and stays."""

    def __init__(self, application):
        self.sent = []
        self._end = asyncio.Event()
        self._connected = False
        scope = {
            "type": "websocket", "path": "/api/live", "raw_path": b"/api/live", "query_string": b"",
            "headers": [(b"host", b"hub"), (b"authorization", b"Bearer secret")], "scheme": "ws",
            "client": ("10.0.0.1", 1), "server": ("hub", 80), "root_path": "", "subprotocols": [],
        }  # fmt: skip
        self._task = asyncio.create_task(application(scope, self._receive, self._send))

    async def _receive(self):
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._end.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def _send(self, message):
        self.sent.append(message)

    async def answer(self):
        """What it got after it was accepted: the first view, or the code by which it was closed."""
        while len(self.sent) < 2:
            await asyncio.sleep(0.01)
        return self.sent[1].get("code", "view")

    async def close(self):
        self._end.set()
        await self._task


def test_one_more_page_than_a_user_may_have_is_told_to_try_again(monkeypatch):
    monkeypatch.setattr(open_sockets, "MAX_OPEN_PER_USER", 3)
    services = Services(Feed(BrokerAddress("127.0.0.1", 1), "roomtone"), RequestLimiter())
    inner = FastAPI()
    inner.include_router(live.router(services, OpenSockets()))
    application = AuthMiddleware(inner, None, services.limiter, "secret")

    async def run():
        pages = [OpenPage(application) for _ in range(3)]
        answers = [await page.answer() for page in pages]
        answers.append(await OpenPage(application).answer())
        await pages[0].close()
        answers.append(await OpenPage(application).answer())
        return answers

    assert asyncio.run(asyncio.wait_for(run(), 60)) == ["view"] * 3 + [live.TRY_AGAIN, "view"]


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
