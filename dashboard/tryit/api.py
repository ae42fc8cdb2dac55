"""`POST /api/try`: classifies the recording in the body. Nothing is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from dashboard.auth.limits import TRY, RequestLimiter, client_network
from dashboard.auth.middleware import client_address, identity_of
from dashboard.tryit.pool import BusyError, ClassifierError, ClassifierPool
from dashboard.tryit.worker import MAX_BYTES

BODY_TIMEOUT_S: Final = 20.0
DRAIN_BYTES: Final = 4 * MAX_BYTES
HEADER: Final = "x-roomtone"
MAX_BODIES: Final = 8
"""Recordings that may be received at once, since each is kept in memory; more are refused before they are read."""
MAX_BODIES_PER_USER: Final = 4
"""So that one user who sends slowly leaves room for others."""


class RefusedError(Exception):
    """A refused request, with the HTTP status, a code for the page, and the message."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def install(application: FastAPI, pool: ClassifierPool, limiter: RequestLimiter) -> None:
    """Add the route that classifies a recording sent by a page."""
    bodies = Bodies()

    @application.post("/api/try", include_in_schema=False)
    async def try_it(request: Request) -> JSONResponse:
        try:
            if HEADER not in request.headers:
                # A page of another site cannot set this header without a CORS preflight, which is not answered.
                raise RefusedError(403, "header", "send the header X-Roomtone: try")
            if not limiter.allows(TRY, "try", client_network(client_address(request))):
                raise RefusedError(429, "often", "too many recordings in a minute; try again later")
            with bodies.place(identity_of(request).name):
                body = await _body(request)
            answer = await pool.classify(body)
        except RefusedError as refused:
            return _error(refused.status, refused.code, str(refused))
        except BusyError:
            return _error(503, "busy", "too many requests at the moment; try again later")
        except ClassifierError as error:
            return _error(500, "failed", str(error))
        return JSONResponse(answer, 400 if "error" in answer else 200, headers={"Cache-Control": "no-store"})


class Bodies:
    """Counts the bodies that are being received, by user."""

    def __init__(self) -> None:
        self._users: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, user: str) -> Iterator[None]:
        """Occupy a place within this context. Raises `BusyError` where there is none."""
        if self._users.total() >= MAX_BODIES or self._users[user] >= MAX_BODIES_PER_USER:
            raise BusyError
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]


def _error(status: int, code: str, text: str) -> JSONResponse:
    return JSONResponse({"error": text, "code": code}, status)


async def _body(request: Request) -> bytes:
    """Return the body, within limits of size and time. `Content-Length` is not relied on."""
    body = bytearray()
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                # A body that is a little too large is read to its end: a browser that is still sending reads no answer.
                if size <= MAX_BYTES:
                    body += part
                elif size > DRAIN_BYTES:
                    break
    except (TimeoutError, ClientDisconnect):
        raise RefusedError(408, "late", "the recording did not arrive in time") from None
    if size > MAX_BYTES:
        raise RefusedError(413, "large", f"at most {MAX_BYTES >> 20} MiB")
    if not body:
        raise RefusedError(400, "empty", "the recording is empty")
    if body[:4] != b"RIFF" or body[8:12] != b"WAVE":
        # Pages decode everything else in the browser: its decoders are the ones that hostile files meet.
        raise RefusedError(415, "kind", "not a supported audio file: send WAV")
    return bytes(body)
