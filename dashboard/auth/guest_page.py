"""`/guest?key=...`: where a guest link leads. It is used up by the button, not by being looked at.

Messengers and cameras fetch addresses to show a preview: a link that a GET uses up would be gone before its guest
comes.
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboard import spa
from dashboard.auth.guests import LIFETIME_S, GuestLinks
from dashboard.auth.limits import LOGIN, RequestLimiter, client_network
from dashboard.auth.middleware import GUEST_PATH, IDENTITY, client_address, cookie_name
from dashboard.language import language_of, texts

PARAMETER: Final = "key"
PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · Roomtone</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="{style}"></head>
<body class="rt-plain"><main class="rt-login rt-card">
<p class="rt-brand"><img src="/favicon.svg" alt="" width="28" height="28"><span>Roomtone</span></p>
<h1 class="rt-title">{title}</h1>{content}</main></body></html>"""
FORM: Final = """<p>{text}</p><form method="post" action="{action}">
<input type="hidden" name="key" value="{key}"><button class="rt-button rt-primary">{submit}</button></form>"""


def install(application: FastAPI, guests: GuestLinks, limiter: RequestLimiter) -> None:
    """Add the routes of the page that a guest link leads to."""

    @application.get(GUEST_PATH, include_in_schema=False)
    async def show(request: Request) -> Response:
        if request.scope[IDENTITY] is not None:
            return RedirectResponse("/try", 303)
        key = request.query_params.get(PARAMETER, "")[:200]
        return _page(request, key if _allows(request) and guests.is_open(key) else "")

    @application.post(GUEST_PATH, include_in_schema=False)
    async def enter(request: Request) -> Response:
        if request.scope[IDENTITY] is not None:
            return RedirectResponse("/try", 303)
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=5)
        secret = guests.redeem(fields.get(PARAMETER, [""])[0][:200]) if _allows(request) else None
        if secret is None:
            return _page(request, "")
        answer = RedirectResponse("/try", 303)
        scheme = request.scope["scheme"]
        answer.set_cookie(
            cookie_name(scheme),
            secret,
            max_age=int(LIFETIME_S),
            secure=scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _allows(request: Request) -> bool:
        return limiter.allows(LOGIN, "guest", client_network(client_address(request)))


def _page(request: Request, key: str) -> HTMLResponse:
    """Return the page with the button, or without a key the one that says that the link is of no use any more."""
    language = language_of(request)
    text = texts(language)
    if key:
        content = FORM.format(
            text=escape(text["guest_text"]),
            action=GUEST_PATH,
            key=escape(key),
            submit=escape(text["guest_submit"]),
        )
    else:
        content = f'<p class="rt-banner" role="alert">{escape(text["guest_over"])}</p>'
    page = PAGE.format(
        language=language, style=spa.stylesheet(), title=escape(text["guest"]), content=content
    )
    return HTMLResponse(page, 200 if key else 410, {"Cache-Control": "no-store"})
