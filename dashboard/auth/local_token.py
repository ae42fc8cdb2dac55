"""Access without a login: a token that is printed at the start, as Jupyter does.

Any user who can read the terminal may open the pages. The token comes once in the address (`/?token=...`), where it is
exchanged for a cookie, or in the header `Authorization: Bearer`.
"""

from __future__ import annotations

import hmac
import os
import secrets
from html import escape
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard.language import language_of, texts

VARIABLE: Final = "ROOMTONE_TOKEN"
"""Environment variable: a fixed token, for programs that start the dashboard."""
PARAMETER: Final = "token"
PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Roomtone</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>Roomtone</h1><p>{hint}</p>
<form method="get" action="/"><label>{label} <input name="token" type="password" required autofocus></label>
<button>{submit}</button></form></main></body></html>"""


def new_token() -> str:
    """Return the token of the environment, or a random one with 192 bits."""
    return os.environ.get(VARIABLE, "").strip() or secrets.token_urlsafe(24)


def has_token(connection: HTTPConnection, token: str) -> bool:
    """Return whether a request carries the token, as a cookie or in the header."""
    kind, _, bearer = connection.headers.get("authorization", "").partition(" ")
    given = (
        bearer.strip() if kind.lower() == "bearer" else connection.cookies.get(_cookie_name(connection), "")
    )
    return _equal(given, token)


def exchange(connection: HTTPConnection, token: str) -> Response | None:
    """Return a redirection that turns a token in the address into a cookie.

    None where the address has no valid token.
    """
    query = parse_qsl(connection.url.query, keep_blank_values=True)
    given = [value for name, value in query if name == PARAMETER]
    if not given or not _equal(given[0], token):
        return None
    rest = urlencode([(name, value) for name, value in query if name != PARAMETER])
    answer = RedirectResponse(connection.url.path + (f"?{rest}" if rest else ""), 303)
    answer.set_cookie(
        _cookie_name(connection),
        token,
        httponly=True,
        samesite="strict",
        secure=connection.url.scheme == "https",
    )
    return answer


def refusal(connection: HTTPConnection) -> Response:
    """Return the page that asks for the token."""
    language = language_of(connection)
    text = texts(language)
    content = PAGE.format(
        language=language,
        hint=escape(text["token_hint"]),
        label=escape(text["token"]),
        submit=escape(text["login"]),
    )
    return HTMLResponse(content, 401, {"Cache-Control": "no-store", "WWW-Authenticate": "Bearer"})


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8"))


def _cookie_name(connection: HTTPConnection) -> str:
    """Return a name with the port: cookies of different ports of one host are not kept apart."""
    server = connection.scope.get("server") or ("", 0)
    return f"roomtone-token-{server[1]}"
