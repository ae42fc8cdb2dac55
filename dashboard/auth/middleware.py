"""What every request passes: whose it is, whether it comes from these pages, whether it may, how much it may bring."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.auth.accounts import (
    LOCAL,
    Accounts,
    Identity,
    Role,
    digest,
)
from dashboard.auth.limits import (
    PAGE,
    READ,
    WRITE,
    Limiter,
    group,
)
from dashboard.db.engine import reason

log = logging.getLogger(__name__)

IDENTITY: Final = "roomtone.identity"
FRESH_S: Final = 5.0
"""So late at the most an ended session is noticed."""
STALE_S: Final = 600.0
"""So long a database may be away before nobody is known any more."""
REMEMBERED: Final = 2000
MAX_BODY: Final = 1 << 20
BODY_S: Final = 20.0
SAFE: Final = ("GET", "HEAD", "OPTIONS")
PUBLIC: Final = ("/login", "/healthz", "/favicon.ico", "/robots.txt")
OWN: Final = ("/logout", "/api/try", "/api/password")
"""What everybody who has logged in may do, though it is not only reading."""
STREAMED: Final = "/api/try"
"""Limits its bodies by itself."""
MODELS: Final = "/updates/"
"""Boxes have no account: what they fetch is signed, and what is uploaded there needs the token of `roomtone fleet`."""
ONLY_HERE: Final = (
    "These pages have no login and answer to this machine only: open http://127.0.0.1, or use --login.\n"
)
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Gate:
    """ASGI middleware. Without accounts everybody at this machine, and nobody else, is `LOCAL`."""

    def __init__(self, app: ASGIApp, accounts: Accounts | None, limiter: Limiter) -> None:
        self._app = app
        self._accounts = accounts
        self._limiter = limiter
        self._known: OrderedDict[bytes, tuple[Identity | None, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or lets it in."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # NiceGUI would write it into its pages; Roomtone lives at the root of its host.
        MutableHeaders(scope=scope).__delitem__("x-forwarded-prefix")
        connection = HTTPConnection(scope)
        if scope["type"] == "http" and scope["path"].startswith(MODELS):
            allowed = self._limiter.allows(READ, "models", group(address_of(connection)))
            answer = None if allowed else too_many()
        else:
            answer = await self._refusal(scope, connection)
        if answer is None:
            await self._app(scope, _limited(scope, receive), send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        else:
            await answer(scope, receive, send)

    def forget(self, session: bytes) -> None:
        """A session has ended just now."""
        self._known.pop(session, None)

    async def _refusal(self, scope: Scope, connection: HTTPConnection) -> Response | None:
        path, method = scope["path"], scope.get("method", "GET")
        if self._accounts is None and not _from_here(connection):
            return PlainTextResponse(ONLY_HERE, 403)
        if (method not in SAFE or scope["type"] == "websocket") and not same_origin(connection):
            return JSONResponse({"error": "this request comes from another site"}, 403)
        try:
            identity = await self._who(connection)
        except SQLAlchemyError as error:
            log.error("the database does not answer: %s", reason(error))
            return PlainTextResponse("The database does not answer just now. Try again in a moment.\n", 503)
        scope[IDENTITY] = identity
        if path in PUBLIC or path.startswith("/assets/"):
            return None
        return _to_login(scope, connection) if identity is None else self._right(scope, connection, identity)

    def _right(self, scope: Scope, connection: HTTPConnection, identity: Identity) -> Response | None:
        path, method = scope["path"], scope.get("method", "GET")
        if not identity.may(_needed(method, path)):
            return JSONResponse({"error": "only an operator may do that"}, 403)
        if not self._within_rate(scope, connection, identity):
            return too_many()
        return None

    def _within_rate(self, scope: Scope, connection: HTTPConnection, identity: Identity) -> bool:
        who = (identity.name, group(address_of(connection)))
        path = scope["path"]
        if scope["type"] == "websocket" or path.startswith("/_nicegui"):
            return True
        if scope["method"] not in SAFE:
            return self._limiter.allows(WRITE, "write", *who)
        return self._limiter.allows(READ if path.startswith("/api/") else PAGE, path[:5], *who)

    async def _who(self, connection: HTTPConnection) -> Identity | None:
        if self._accounts is None:
            return LOCAL
        secret = secret_of(connection)
        if not secret:
            return None
        session = digest(secret)
        known, at = self._known.get(session, (None, float("-inf")))
        now = time.monotonic()
        if now - at < FRESH_S:
            return known
        try:
            identity = await asyncio.to_thread(self._accounts.who, session)
        except SQLAlchemyError:
            # While the database restarts, whoever was here a moment ago goes on.
            if known is not None and now - at < STALE_S:
                return known
            raise
        self._known[session] = (identity, now)
        self._known.move_to_end(session)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return identity


def identity_of(connection: HTTPConnection) -> Identity:
    """Who asks, behind the gate."""
    identity: Identity = connection.scope[IDENTITY]
    return identity


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else ""


def cookie_name(scheme: str) -> str:
    """With the prefix `__Host-` no other host, and nothing without TLS, can set it."""
    return "__Host-roomtone" if scheme in ("https", "wss") else "roomtone"


def secret_of(connection: HTTPConnection) -> str:
    """The session of a browser or the token of a program; empty where there is none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()[:200]
    return connection.cookies.get(cookie_name(connection.scope["scheme"]), "")[:200]


def too_many() -> Response:
    """Says so, and when to come again."""
    return JSONResponse({"error": "too many requests; wait a minute"}, 429, {"Retry-After": "60"})


def same_origin(connection: HTTPConnection) -> bool:
    """Whether it comes from these pages or from a program, not from a page of another site.

    Every browser of today says so itself (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/); older ones send
    at least `Origin`. A program sends neither, and has no cookie that somebody else could misuse.
    """
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host", ""):
        return False
    return connection.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _from_here(connection: HTTPConnection) -> bool:
    """Whether it was meant for this machine and came over no proxy: then nobody else can have sent it."""
    host = connection.headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    if name != "localhost" and not name.endswith(".localhost"):
        try:
            if not ip_address(name).is_loopback:
                return False
        except ValueError:
            return False
    return not any(header in connection.headers for header in FORWARDED)


def _needed(method: str, path: str) -> Role:
    if path in OWN or path.startswith("/_nicegui"):
        return "viewer"
    return "operator" if method not in SAFE or path.startswith("/api/audit") else "viewer"


def _to_login(scope: Scope, connection: HTTPConnection) -> Response:
    path = scope["path"]
    if (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and "text/html" in connection.headers.get("accept", "")
    ):
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = quote(path + (f"?{query}" if query else ""), safe="/")
        return RedirectResponse("/login" if path == "/" else f"/login?next={wanted}", 303)
    return JSONResponse({"error": "log in first"}, 401, {"WWW-Authenticate": "Bearer"})


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Ends a body that is too long or too slow as if its sender had gone."""
    if scope["type"] != "http" or scope["method"] in SAFE:
        return receive
    if scope["path"] == STREAMED or scope["path"].startswith(MODELS):
        return receive
    size, end, state = 0, time.monotonic() + BODY_S, "body"

    async def limited() -> Message:
        nonlocal size, state
        if state == "after":
            return await receive()
        over: Literal[True, False] = False
        try:
            async with asyncio.timeout(end - time.monotonic()):
                message = await receive()
        except TimeoutError:
            over = True
        else:
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                state = "after"
            over = size > MAX_BODY
        return {"type": "http.disconnect"} if over else message

    return limited
