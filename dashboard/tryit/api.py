"""`POST /api/try`: the bytes of a recording in, an emotion out. Nothing is stored."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from dashboard.auth.limits import TRY, Limiter, group
from dashboard.auth.middleware import address_of
from dashboard.tryit.pool import BrokenError, BusyError, Pool
from dashboard.tryit.worker import MAX_BYTES

BODY_S: Final = 20.0
PATIENCE_BYTES: Final = 4 * MAX_BYTES
HEADER: Final = "x-roomtone"


class RefusedError(Exception):
    """With the status and the words for the reader."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def install(application: FastAPI, pool: Pool, limiter: Limiter) -> None:
    """Adds the route."""

    @application.post("/api/try", include_in_schema=False)
    async def try_it(request: Request) -> JSONResponse:
        try:
            if HEADER not in request.headers:
                # A page of another site cannot set this header without being asked first, and it is not answered then.
                raise RefusedError(403, "send the header X-Roomtone: try")
            if not limiter.allows(TRY, "try", group(address_of(request))):
                raise RefusedError(429, "too many recordings in a minute; wait a little")
            answer = await pool.classify(await _body(request))
        except RefusedError as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        except BusyError:
            return JSONResponse({"error": "others are trying just now; try again in a moment"}, 503)
        except BrokenError as error:
            return JSONResponse({"error": str(error)}, 500)
        return JSONResponse(answer, 400 if "error" in answer else 200, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes:
    """What was sent, within limits of size and time. The announced length is not believed."""
    body = bytearray()
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                # A little too much is read to its end and dropped: a browser that is still sending hears no answer.
                if size <= MAX_BYTES:
                    body += part
                elif size > PATIENCE_BYTES:
                    break
    except (TimeoutError, ClientDisconnect):
        raise RefusedError(408, "the recording did not arrive in time") from None
    if size > MAX_BYTES:
        raise RefusedError(413, f"at most {MAX_BYTES >> 20} MiB")
    if not body:
        raise RefusedError(400, "the recording is empty")
    return bytes(body)
