"""What passes the middleware: with a token, a session, from where, how much, and how often."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

pytest.importorskip("starlette", reason="starlette is installed with roomtone[dashboard]")

import uvicorn
from limits import parse
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dashboard import http_protocol
from dashboard.auth import middleware
from dashboard.auth.limits import RequestLimiter
from dashboard.auth.login import Login
from dashboard.auth.middleware import AuthMiddleware
from dashboard.auth.request_limits import MAX_BODY, MAX_FORM, POLICY_VIOLATION

TOKEN = "secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def echo(request: Request) -> PlainTextResponse:
    try:
        return PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        return PlainTextResponse("disconnected", 400)


async def socket_echo(websocket):
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await websocket.receive_text())


@pytest.fixture
def app():
    inner = Starlette(
        routes=[
            WebSocketRoute("/live", socket_echo),
            Route("/{path:path}", echo, methods=["GET", "POST", "PUT"]),
        ]
    )
    return AuthMiddleware(inner, None, RequestLimiter(), TOKEN)


@pytest.fixture
def client(app):
    return TestClient(app, base_url="http://hub.local", follow_redirects=False)


def test_without_accounts_a_token_is_required():
    with pytest.raises(ValueError, match="token"):
        AuthMiddleware(Starlette(), None, RequestLimiter())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "roomtone-token-80=wrong"},
        {"Cookie": f"roomtone={TOKEN}"},
        {"Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"},
        {"Host": "localhost"},
    ],
    ids=str,
)
def test_without_the_token_nothing_is_answered(client, headers):
    for path in ("/", "/api/rooms", "/login", "/updates"):
        assert client.get(path, headers=headers).status_code == 401, path
    assert client.post("/api/rules", headers=headers).status_code == 401


def test_the_token_comes_in_a_header_or_is_exchanged_for_a_cookie(client):
    assert client.get("/api/rooms", headers=BEARER).status_code == 200
    answer = client.get(f"/fleet?a=b&token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/fleet?a=b")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert client.get("/").status_code == 200
    assert TestClient(client.app).get("/?token=wrong").status_code == 401


def test_a_device_gets_files_without_a_token(client):
    assert client.get("/updates/metadata/timestamp.json").status_code == 200
    assert client.get("/updates").status_code == 401


def test_a_release_that_is_larger_than_any_other_body_arrives_whole(client):
    assert client.put("/updates/api/files/x.tar", content=bytes(2 * MAX_BODY)).text == str(2 * MAX_BODY)
    assert client.post("/api/rules", content=bytes(MAX_BODY), headers=BEARER).text == str(MAX_BODY)
    assert client.post("/api/rules", content=bytes(MAX_BODY + 1), headers=BEARER).status_code == 400


def test_a_device_that_asks_too_often_is_refused(client, monkeypatch):
    monkeypatch.setattr(middleware, "READ", parse("5 per hour"))
    codes = [client.get("/updates/metadata/timestamp.json").status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://hub.local", 200),
        ("HTTP://HUB.LOCAL", 200),
        ("https://hub.local", 403),
        ("http://hub.local:8080", 403),
        ("http://hub.local.evil.example", 403),
        ("null", 403),
    ],
)
def test_the_same_origin_has_the_same_scheme(client, origin, status):
    assert client.post("/api/rules", headers=BEARER | {"Origin": origin}).status_code == status


def test_answers_of_the_api_are_not_stored(client):
    assert client.get("/api/rooms", headers=BEARER).headers["cache-control"] == "no-store"
    assert client.get("/metrics", headers=BEARER).headers["cache-control"] == "no-store"
    assert client.head("/metrics", headers=BEARER).status_code == 200
    assert client.head("/metrics").status_code == 401
    assert "cache-control" not in client.get("/room/kitchen", headers=BEARER).headers


def test_a_socket_with_too_many_messages_is_closed(client, monkeypatch):
    monkeypatch.setattr(middleware, "SOCKET_MESSAGES", parse("5 per hour"))
    with client.websocket_connect("/live", headers=BEARER) as ws:
        for number in range(5):
            ws.send_text(str(number))
            assert ws.receive_text() == str(number)
        ws.send_text("one too many")
        with pytest.raises(WebSocketDisconnect) as closed:
            ws.receive_text()
    assert closed.value.code == POLICY_VIOLATION
    # All sockets of a user share the limit: another one does not begin anew.
    with client.websocket_connect("/live", headers=BEARER) as ws:
        ws.send_text("again")
        with pytest.raises(WebSocketDisconnect):
            ws.receive_text()


def test_sockets_are_counted_like_requests(client, monkeypatch):
    monkeypatch.setattr(middleware, "SOCKET", parse("3 per hour"))
    for _ in range(3):
        with client.websocket_connect("/live", headers=BEARER):
            pass
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/live", headers=BEARER):
        pass


def receive_of(parts):
    """An ASGI receive that counts the bytes that were read."""
    read = []

    async def receive():
        if not parts:
            await asyncio.sleep(3600)
        part = parts.pop(0)
        read.append(len(part))
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return receive, read


def call(app, path, receive):
    """The status of a POST whose body comes from `receive`."""
    return asyncio.run(post(app, path, receive))


async def post(app, path, receive, address="10.0.0.1"):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"hub.local")], "scheme": "http", "client": (address, 1),
        "server": ("hub.local", 80), "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return next(m["status"] for m in sent if m["type"] == "http.response.start")


class NoAccounts:
    """Accounts in which no session and no password is known."""

    def __init__(self):
        self.verified = 0

    def verify(self, name, password):
        self.verified += 1
        return False

    def record(self, *entry):
        pass


@pytest.fixture
def login_app():
    accounts, limiter = NoAccounts(), RequestLimiter()
    login = Login(accounts, accounts, limiter)
    inner = Starlette(routes=[Route("/login", login.answer, methods=["POST"])])
    app = AuthMiddleware(inner, accounts, limiter)
    app.accounts = accounts
    return app


def test_a_login_reads_a_small_form_and_no_more(login_app):
    receive, read = receive_of([b"name=ann&password=x"])
    assert call(login_app, "/login", receive) == 401
    receive, read = receive_of([b"name=ann&password=" + bytes(1000)] * 1000)
    assert call(login_app, "/login", receive) == 400
    assert sum(read) <= MAX_FORM + 1100
    assert login_app.accounts.verified == 1


def test_a_login_beyond_the_limit_is_refused_before_its_body_is_read(login_app):
    statuses = []
    for _ in range(12):
        receive, read = receive_of([b"name=ann&password=x"])
        statuses.append((call(login_app, "/login", receive), bool(read)))
    assert statuses == [(401, True)] * 10 + [(429, False)] * 2


def test_a_login_form_that_never_ends_is_given_up(login_app, monkeypatch):
    monkeypatch.setattr(middleware, "FORM_TIMEOUT_S", 0.2)
    begin = time.monotonic()
    receive, _ = receive_of([])
    assert call(login_app, "/login", receive) == 400
    assert time.monotonic() - begin < 10


def test_forms_that_come_slowly_keep_no_one_from_logging_in(login_app, monkeypatch):
    """From many addresses, each within its limit."""
    monkeypatch.setattr(middleware, "FORM_TIMEOUT_S", 3.0)

    async def run():
        slow = [
            asyncio.create_task(post(login_app, "/login", receive_of([])[0], f"10.0.1.{n}"))
            for n in range(100)
        ]
        await asyncio.sleep(0.1)
        receive, _ = receive_of([b"name=ann&password=x"])
        status = await post(login_app, "/login", receive)
        return status, sum(not one.done() for one in slow), await asyncio.gather(*slow)

    status, waiting, ended = asyncio.run(run())
    assert (status, waiting) == (401, 100)
    assert set(ended) == {400}


@pytest.fixture
def port(monkeypatch):
    """A server with the real protocol and short limits."""
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.5)
    listener = socket.create_server(("127.0.0.1", 0))
    inner = Starlette(routes=[Route("/slow", slow), Route("/", echo)])
    config = uvicorn.Config(
        inner, http=http_protocol.LimitedHTTPProtocol, log_config=None, timeout_keep_alive=60, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


async def slow(request):
    await asyncio.sleep(1.5)
    return PlainTextResponse("late")


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "begin", [b"", b"GET", HEAD, HEAD + b"\r\n" + HEAD], ids=["nothing", "a word", "half", "a second one"]
)
def test_a_request_whose_head_does_not_end_is_cut_off(port, begin):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(begin)
        started = time.monotonic()
        while connection.recv(4096):
            pass
    assert time.monotonic() - started < 10


def test_dripping_does_not_prolong_the_limit(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        started = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(200):
                connection.sendall(b"X")
                time.sleep(0.1)
        assert time.monotonic() - started < 10


def test_an_answer_may_take_longer_than_the_limit(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b"late" not in answer:
            part = connection.recv(4096)
            assert part, answer
            answer += part
