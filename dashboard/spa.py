"""Serves the built front end (`dashboard/static/`, made from `dashboard/frontend/` by `./run frontend`).

The page has in it what it shows first: a browser that has the scripts already shows the rooms after one answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"
PAGES: Final = ("/", "/room/{node}", "/fleet", "/models", "/alerts", "/try", "/account", "/add")
ICONS: Final = (
    "favicon.svg",
    "apple-touch-icon.png",
    "icon-192.png",
    "icon-512.png",
    "icon-maskable-512.png",
)
ROOT_FILES: Final = (
    *ICONS,
    "manifest.webmanifest",
    "capture.js",
    "offline.html",
    "offline-es.html",
    "offline.css",
    "service-worker.js",
)
YEAR_S: Final = 31_536_000
PLACE: Final = '<script type="application/json" id="rt-first">'
"""An empty element, into which comes what the page shows first."""


class _Assets(StaticFiles):
    """Files whose names change with their content: browsers may keep them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
        return response


@cache
def stylesheet() -> str:
    """Return the address of the style sheet, for pages that are made without the front end's scripts."""
    manifest = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
    return f"/{manifest['index.html']['css'][0]}"


def install(application: FastAPI, first_state: Callable[[Request], str]) -> None:
    """Add the pages and files. Everything below `/api` must have been added before.

    `first_state` returns what a page shows first, as JSON that may stand in HTML.
    """
    head, place, tail = (STATIC / "index.html").read_text(encoding="utf-8").partition(PLACE)
    if not place:
        raise ValueError(f"{STATIC / 'index.html'} has no place for what the page shows first")
    application.mount("/assets", _Assets(directory=STATIC / "assets"), "assets")

    def page(request: Request, status: int = 200) -> Response:
        # Not kept: a browser that goes back, or begins with the pages of last time, would show old rooms.
        return HTMLResponse(
            f"{head}{PLACE}{first_state(request)}{tail}", status, {"Cache-Control": "no-store"}
        )

    async def index(request: Request) -> Response:
        return page(request)

    for path in PAGES:
        application.add_api_route(path, index, include_in_schema=False)

    for name in ROOT_FILES:
        if (STATIC / name).exists():
            application.add_api_route(f"/{name}", _file(STATIC / name), include_in_schema=False)

    async def missing(request: Request, rest: str) -> Response:
        if rest.startswith(("api/", "assets/")) or "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404, "there is no such page")
        return page(request, 404)

    application.add_api_route("/{rest:path}", missing, include_in_schema=False)


def _file(path: Path) -> Callable[[], Coroutine[Any, Any, Response]]:
    async def serve() -> Response:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return serve
