"""`/phone`: how a phone comes to know the certificate of this hub. It comes before the login, so it is open to all."""

from __future__ import annotations

import io
from html import escape
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from dashboard import spa
from dashboard.language import language_of, texts

PATH: Final = "/phone"
CERTIFICATE: Final = "/roomtone-ca.crt"
"""Served by the proxy (provisioning/hub/Caddyfile)."""
SYSTEMS: Final = ("phone_android", "phone_ios", "phone_computer")
PAGE: Final = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · Roomtone</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="{style}"></head>
<body class="rt-plain"><main class="rt-login rt-card rt-phone">
<p class="rt-brand"><img src="/favicon.svg" alt="" width="28" height="28"><span>Roomtone</span></p>
<h1 class="rt-title">{title}</h1><p>{why}</p>
<p><a class="rt-button rt-primary" href="{certificate}" download>{get}</a></p>{steps}
<p class="rt-hint">{check}</p><p><a href="/">{open}</a></p></main></body></html>"""


def install(application: FastAPI) -> None:
    """Add the page, and the QR code of its address."""

    @application.get(PATH, include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        language = language_of(request)
        text = texts(language)
        content = PAGE.format(
            language=language,
            style=spa.stylesheet(),
            title=escape(text["phone"]),
            why=escape(text["phone_why"]),
            certificate=CERTIFICATE,
            get=escape(text["phone_get"]),
            steps="".join(_steps(text[system]) for system in SYSTEMS),
            check=escape(text["phone_check"]),
            open=escape(text["phone_open"]),
        )
        return HTMLResponse(content, headers={"Cache-Control": "no-cache"})

    @application.get(f"{PATH}.svg", include_in_schema=False)
    async def code(request: Request) -> Response:
        import segno

        url = str(request.url.replace(path=PATH, query=""))
        picture = io.BytesIO()
        segno.make(url).save(picture, kind="svg", scale=4, border=2, light="#fff")
        return Response(picture.getvalue(), media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})


def _steps(text: str) -> str:
    title, *steps = text.split("|")
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    return f"<h2>{escape(title)}</h2><ol>{items}</ol>"
