"""Login and logout: a plain form without scripts."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from dashboard import spa
from dashboard.auth.accounts import Accounts
from dashboard.auth.audit import AuditLog
from dashboard.auth.limits import LOGIN, LOGIN_NAME, RequestLimiter, client_network
from dashboard.auth.middleware import (
    IDENTITY,
    AuthMiddleware,
    client_address,
    cookie_name,
    identity_of,
)
from dashboard.db.engine import describe_error
from dashboard.language import language_of, texts

log = logging.getLogger(__name__)

MAX_WAITING: Final = 8
"""Checking a password occupies a core for a tenth of a second: more that wait for it are refused with 503."""
COOKIE_MAX_AGE_S: Final = 400 * 86_400
"""The longest that browsers accept; the session itself expires in the database."""

PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · Roomtone</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="{style}"></head>
<body class="rt-plain"><main class="rt-login rt-card">
<p class="rt-brand"><img src="/favicon.svg" alt="" width="28" height="28"><span>Roomtone</span></p>
<h1 class="rt-title">{title}</h1>{error}
<form method="post" action="/login?next={next}">
<label>{name}<input name="name" value="{given}" autocomplete="username" autocapitalize="none"
 required maxlength="64"{focus}></label>
<label>{password}<input name="password" type="password" autocomplete="current-password"
 required maxlength="200"></label>
<button class="rt-button rt-primary">{submit}</button></form>
<p class="rt-hint">{hint}</p></main></body></html>"""


def install(
    application: FastAPI,
    accounts: Accounts,
    audit: AuditLog,
    limiter: RequestLimiter,
    middleware: AuthMiddleware,
) -> None:
    """Add the routes `/login` and `/logout`."""
    login = Login(accounts, audit, limiter)

    @application.get("/login", include_in_schema=False)
    async def form(request: Request) -> Response:
        if request.scope[IDENTITY] is not None:
            return RedirectResponse(next_path(request), 303)
        return _page(request)

    @application.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        return await login.answer(request)

    @application.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        identity = identity_of(request)
        await asyncio.to_thread(accounts.end_session, identity.session)
        await asyncio.to_thread(audit.record, identity.name, client_address(request), "logout")
        middleware.forget_session(identity.session)
        answer = RedirectResponse("/login", 303)
        scheme = request.scope["scheme"]
        answer.delete_cookie(cookie_name(scheme), secure=scheme == "https", httponly=True, samesite="lax")
        return answer


class Login:
    """Answers the login form. The limits come first, then the body, then the password."""

    def __init__(self, accounts: Accounts, audit: AuditLog, limiter: RequestLimiter) -> None:
        self._accounts = accounts
        self._audit = audit
        self._limiter = limiter
        # One at a time: argon2 takes 64 MiB for each.
        self._executor = ThreadPoolExecutor(1, "password")
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        """Return the redirection of a successful login, or the form with an error."""
        if not self._limiter.allows(LOGIN, "login", client_network(client_address(request))):
            return _page(request, "login_often", status=429)
        try:
            return await self._read_form(request)
        except (ClientDisconnect, ValueError):
            return _page(request, "login_refused", status=400)
        except SQLAlchemyError as error:
            log.error("login is not possible: %s", describe_error(error))
            return _page(request, "login_database", status=503)

    async def _read_form(self, request: Request) -> Response:
        address = client_address(request)
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        name = fields.get("name", [""])[0].strip()[:64]
        if not self._limiter.allows(LOGIN_NAME, "login", client_network(address), name.lower()):
            return _page(request, "login_often", name, 429)
        # Only those whose form is here count: clients that send theirs slowly must not keep others out.
        if self._waiting >= MAX_WAITING:
            return _page(request, "login_busy", name, 503)
        agent = request.headers.get("user-agent", "")
        self._waiting += 1
        try:
            secret = await self._create_session(name, fields.get("password", [""])[0][:201], address, agent)
        finally:
            self._waiting -= 1
        if secret is None:
            return _page(request, "login_refused", name, 401)
        return _with_session(request, secret)

    async def _create_session(self, name: str, password: str, address: str, agent: str) -> str | None:
        """Return the secret of a new session; None for a wrong name or password."""
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._executor, self._accounts.verify, name, password):
            log.info("login refused: %r from %s", name, address)
            await asyncio.to_thread(self._audit.record, name, address, "login", "", "refused")
            return None
        secret = await asyncio.to_thread(self._accounts.create_session, name, agent=agent)
        await asyncio.to_thread(self._audit.record, name, address, "login")
        return secret


def _with_session(request: Request, secret: str) -> Response:
    answer = RedirectResponse(next_path(request), 303)
    answer.set_cookie(
        cookie_name(request.scope["scheme"]),
        secret,
        max_age=COOKIE_MAX_AGE_S,
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def next_path(request: Request) -> str:
    """Return the path to go to after the login; `/` unless it is a path of these pages."""
    path = request.query_params.get("next", "/")
    if not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable() or "\\" in path:
        return "/"
    return path


def _page(request: Request, error: str = "", name: str = "", status: int = 200) -> HTMLResponse:
    language = language_of(request)
    text = texts(language)
    alert = f'<p class="rt-banner" role="alert">{escape(text[error])}</p>' if error else ""
    return HTMLResponse(
        PAGE.format(
            language=language,
            style=spa.stylesheet(),
            title=escape(text["login"]),
            error=alert,
            next=escape(quote(next_path(request), safe="/")),
            name=escape(text["name"]),
            given=escape(name),
            focus="" if name else " autofocus",
            password=escape(text["password"]),
            submit=escape(text["login"]),
            hint=escape(text["login_hint"]),
        ),
        status,
        {"Cache-Control": "no-store"},
    )
