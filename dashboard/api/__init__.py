"""The REST API. It has the same rights as the pages, which use it for everything that changes something."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPBearer

from dashboard.api import (
    account,
    alerts,
    fleet,
    guests,
    live,
    metrics,
    models,
    records,
    rooms,
    sessions,
    users,
)
from dashboard.api.common import Services
from dashboard.auth.open_sockets import OpenSockets
from edge.util.text.patterns import words_for

SECURITY: Final = [
    Security(APIKeyCookie(name="__Host-roomtone", scheme_name="session", auto_error=False)),
    Security(HTTPBearer(scheme_name="token", auto_error=False)),
]
"""For the OpenAPI document only: `dashboard.auth.middleware` has let the request in before it comes to a route."""


def install(application: FastAPI, services: Services, sockets: OpenSockets) -> None:
    """Add all routes; errors are answered as `{"error": "..."}`."""
    for module in (rooms, records, alerts, fleet, models, account, sessions, users, guests, metrics):
        application.include_router(module.router(services), dependencies=SECURITY)
    application.include_router(live.router(services, sockets))

    @application.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @application.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        text = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {_in_words(one)}" for one in error.errors())
        return JSONResponse({"error": text[:500]}, 422)


def _in_words(problem: Any) -> str:
    """What Pydantic says, with words where it names a regular expression."""
    words = words_for(str(problem.get("ctx", {}).get("pattern", "")))
    return f"must be {words}" if words else str(problem["msg"])
