"""Serves the built front end (`dashboard/static/`, made from `dashboard/frontend/` by `./run frontend`)."""

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
ROOT_FILES: Final = (
    "favicon.svg",
    "manifest.webmanifest",
    "capture.js",
    "offline.html",
    "offline-es.html",
    "offline.css",
    "service-worker.js",
)
YEAR_S: Final = 31_536_000


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


def install(application: FastAPI) -> None:
    """Add the pages and files. Everything below `/api` must have been added before."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    application.mount("/assets", _Assets(directory=STATIC / "assets"), "assets")

    async def index(_request: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    for path in PAGES:
        application.add_api_route(path, index, include_in_schema=False)

    for name in ROOT_FILES:
        if (STATIC / name).exists():
            application.add_api_route(f"/{name}", _file(STATIC / name), include_in_schema=False)

    async def missing(request: Request, rest: str) -> Response:
        if rest.startswith(("api/", "assets/")) or "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404, "there is no such page")
        return HTMLResponse(page, 404, {"Cache-Control": "no-cache"})

    application.add_api_route("/{rest:path}", missing, include_in_schema=False)


def _file(path: Path) -> Callable[[], Coroutine[Any, Any, Response]]:
    async def serve() -> Response:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return serve
