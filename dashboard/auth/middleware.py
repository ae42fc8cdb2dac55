"""The middleware in front of all routes: authentication, same-origin check, authorisation, rate and body limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.auth import guests, local_token
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
    SOCKET,
    SOCKET_MESSAGES,
    WRITE,
    RequestLimiter,
    client_network,
)
from dashboard.auth.request_limits import (
    FORM_TIMEOUT_S,
    MAX_FORM,
    SocketLimit,
    is_limited_by_route,
    limit_body,
)
from dashboard.db.engine import describe_error

log = logging.getLogger(__name__)

IDENTITY: Final = "roomtone.identity"
SESSION_CACHE_S: Final = 5.0
"""A session that another program has ended is noticed after this time at the latest; one that ended here, at once."""
DATABASE_OUTAGE_S: Final = 600.0
"""How long cached sessions are accepted while the database does not answer."""
MAX_CACHED_SESSIONS: Final = 2000
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
PUBLIC: Final = (
    "/login",
    "/healthz",
    "/favicon.ico",
    "/favicon.svg",
    "/apple-touch-icon.png",
    "/icon-192.png",
    "/icon-512.png",
    "/icon-maskable-512.png",
    "/manifest.webmanifest",
    "/robots.txt",
    "/phone",
    "/phone.svg",
    "/offline.css",
    "/offline.html",
    "/offline-es.html",
    "/service-worker.js",
)
VIEWER_WRITES: Final = ("/logout", "/api/try", "/api/password", "/api/push", "/api/tokens", "/api/sessions")
"""Requests that change something and are open to viewers as well, with what is below them."""
OPERATOR_READS: Final = ("/api/audit", "/api/users")
GUEST_PATH: Final = "/guest"
"""Where a guest link leads; public where there are guest links."""
STREAMED: Final = "/api/try"
"""Limits its body itself."""
RELEASES: Final = "/updates/"
"""Devices have no account: downloads are signed, and uploads need the token of `roomtone fleet`."""


class AuthMiddleware:
    """ASGI middleware that lets only authenticated requests with sufficient rights through.

    Without accounts, requests with the token are those of the user `LOCAL` and all others are refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        accounts: Accounts | None,
        limiter: RequestLimiter,
        token: str = "",
        guest_links: guests.GuestLinks | None = None,
    ) -> None:
        if accounts is None and not token:
            raise ValueError("without accounts a token is required")
        self._app = app
        self._accounts = accounts
        self._token = token
        self._limiter = limiter
        self._guests = guest_links
        self._sessions: OrderedDict[bytes, tuple[Identity | None, float]] = OrderedDict()
        self._version = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request with a refusal, or pass it on to the application."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if scope["type"] == "http" and scope["path"].startswith(RELEASES):
            allowed = self._limiter.allows(READ, "models", client_network(client_address(connection)))
            answer = None if allowed else too_many_requests()
        else:
            answer = await self._refusal(scope, connection)
        if answer is None:
            await self._pass_on(scope, connection, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
        else:
            await answer(scope, receive, send)

    async def _pass_on(self, scope: Scope, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "websocket":
            key = (identity_of(connection).name, client_network(client_address(connection)))
            limit = SocketLimit(
                receive, send, lambda: self._limiter.allows(SOCKET_MESSAGES, "socket-messages", *key)
            )
            await self._app(scope, limit.receive, limit.send)
        elif path in ("/login", GUEST_PATH):
            await self._app(scope, limit_body(receive, MAX_FORM, FORM_TIMEOUT_S), send)
        elif is_limited_by_route(scope, (STREAMED, RELEASES)):
            await self._app(scope, receive, send)
        else:
            await self._app(scope, limit_body(receive), _without_storing(path, send))

    def forget_session(self, session: bytes) -> None:
        """Remove a session from the cache, because it has ended; that of a guest ends here."""
        self._sessions.pop(session, None)
        if self._guests is not None:
            self._guests.end(session)

    async def _refusal(self, scope: Scope, connection: HTTPConnection) -> Response | None:
        path, method = scope["path"], scope.get("method", "GET")
        if (method not in SAFE_METHODS or scope["type"] == "websocket") and not same_origin(connection):
            return JSONResponse({"error": "cross-site requests are refused"}, 403)
        try:
            identity = await self._identify(connection)
        except SQLAlchemyError as error:
            log.error("the database does not answer: %s", describe_error(error))
            return PlainTextResponse("The database does not answer. Try again in a moment.\n", 503)
        scope[IDENTITY] = identity
        if self._accounts is None and method == "GET" and scope["type"] == "http":
            answer = local_token.exchange(connection, self._token)
            if answer is not None:
                return answer
        is_public = path in PUBLIC or path.startswith("/assets/")
        if scope["type"] == "http" and (is_public or (path == GUEST_PATH and self._guests is not None)):
            return local_token.refusal(connection) if path == "/login" and self._accounts is None else None
        if identity is None:
            return self._login_required(scope, connection)
        return self._authorise(scope, connection, identity)

    def _login_required(self, scope: Scope, connection: HTTPConnection) -> Response:
        is_page = (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and "text/html" in connection.headers.get("accept", "")
        )
        if not is_page:
            return JSONResponse({"error": "log in first"}, 401, {"WWW-Authenticate": "Bearer"})
        if self._accounts is None:
            return local_token.refusal(connection)
        path = scope["path"]
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = quote(path + (f"?{query}" if query else ""), safe="/")
        return RedirectResponse("/login" if path == "/" else f"/login?next={wanted}", 303)

    def _authorise(self, scope: Scope, connection: HTTPConnection, identity: Identity) -> Response | None:
        path, method = scope["path"], scope.get("method", "GET")
        if identity.role == "guest":
            return self._guest_refusal(scope, connection, identity)
        if not identity.has_role(_required_role(method, path)):
            return JSONResponse({"error": "this needs the role operator"}, 403)
        if not self._within_rate(scope, connection, identity):
            return too_many_requests()
        return None

    def _guest_refusal(self, scope: Scope, connection: HTTPConnection, identity: Identity) -> Response | None:
        path, method = scope["path"], scope.get("method", "GET")
        if scope["type"] == "websocket" or not guests.may_request(method, path):
            wants_page = method == "GET" and "text/html" in connection.headers.get("accept", "")
            if wants_page:
                return RedirectResponse("/try", 303)
            return JSONResponse({"error": "a guest has only the page Try it"}, 403)
        return None if self._within_rate(scope, connection, identity) else too_many_requests()

    def _within_rate(self, scope: Scope, connection: HTTPConnection, identity: Identity) -> bool:
        key = (identity.name, client_network(client_address(connection)))
        path = scope["path"]
        if scope["type"] == "websocket":
            return self._limiter.allows(SOCKET, "socket", *key)
        if scope["method"] not in SAFE_METHODS:
            return self._limiter.allows(WRITE, "write", *key)
        return self._limiter.allows(READ if path.startswith("/api/") else PAGE, path[:5], *key)

    async def _identify(self, connection: HTTPConnection) -> Identity | None:
        if self._accounts is None:
            return LOCAL if local_token.has_token(connection, self._token) else None
        secret = session_secret(connection)
        if not secret:
            return None
        session = digest(secret)
        if self._guests is not None and (guest := self._guests.identify(session)) is not None:
            return guest
        return await self._identify_user(session, self._accounts)

    async def _identify_user(self, session: bytes, accounts: Accounts) -> Identity | None:
        if self._version != accounts.version:
            self._version = accounts.version
            self._sessions.clear()
        version = self._version
        cached, at = self._sessions.get(session, (None, float("-inf")))
        now = time.monotonic()
        if now - at < SESSION_CACHE_S:
            return cached
        try:
            identity = await asyncio.to_thread(accounts.identify, session)
        except SQLAlchemyError:
            # Users who were logged in a moment ago can go on while the database restarts.
            if cached is not None and now - at < DATABASE_OUTAGE_S:
                return cached
            raise
        if version != accounts.version:
            # It may have ended while the database was asked.
            return await self._identify_user(session, accounts)
        self._sessions[session] = (identity, now)
        self._sessions.move_to_end(session)
        while len(self._sessions) > MAX_CACHED_SESSIONS:
            self._sessions.popitem(last=False)
        return identity


def identity_of(connection: HTTPConnection) -> Identity:
    """Return the user of a request that has passed the middleware."""
    identity: Identity = connection.scope[IDENTITY]
    return identity


def client_address(connection: HTTPConnection) -> str:
    """Return the address of the client."""
    return connection.client.host if connection.client else ""


def cookie_name(scheme: str) -> str:
    """Return the name of the session cookie; with the prefix `__Host-` only this host can set it, and only over TLS."""
    return "__Host-roomtone" if scheme in ("https", "wss") else "roomtone"


def session_secret(connection: HTTPConnection) -> str:
    """Return the secret of the browser session or API token of a request; empty if there is none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()[:200]
    return connection.cookies.get(cookie_name(connection.scope["scheme"]), "")[:200]


def too_many_requests() -> Response:
    """Return the response to a request beyond a rate limit."""
    return JSONResponse({"error": "too many requests; wait a minute"}, 429, {"Retry-After": "60"})


def same_origin(connection: HTTPConnection) -> bool:
    """Return whether a request comes from these pages or a program, and not from a page of another site.

    Current browsers send `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), older ones at least `Origin`. A
    program sends neither, and has no cookie that another site could misuse.
    """
    origin = connection.headers.get("origin")
    if origin is not None:
        scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
        if origin.lower() != f"{scheme}://{connection.headers.get('host', '')}".lower():
            return False
    return connection.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _required_role(method: str, path: str) -> Role:
    if _is_below(path, VIEWER_WRITES):
        return "viewer"
    return "operator" if method not in SAFE_METHODS or _is_below(path, OPERATOR_READS) else "viewer"


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return path.startswith(tuple(f"{root}/" for root in roots)) or path in roots


def _without_storing(path: str, send: Send) -> Send:
    """Keep answers of the API out of caches, unless the route allows it."""
    if not path.startswith(("/api/", "/metrics", "/logout")):
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
