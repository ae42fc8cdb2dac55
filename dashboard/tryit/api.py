"""`POST /api/try`: the bytes of a recording in, an emotion out. Nothing is stored."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from dashboard.tryit.pool import BrokenError, BusyError, Pool
from dashboard.tryit.worker import MAX_BYTES

BODY_S: Final = 20.0
PATIENCE_BYTES: Final = 4 * MAX_BYTES
PER_MINUTE: Final = 20
REMEMBERED: Final = 10_000
HEADER: Final = "x-roomtone"


class Rate:
    """At most so many requests a minute from one address; a bounded memory of addresses."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Counts one request."""
        times = [t for t in self._seen.pop(address, []) if now - t < 60]
        allowed = len(times) < self._per_minute
        if allowed:
            times.append(now)
        self._seen[address] = times
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return allowed


class RefusedError(Exception):
    """With the status and the words for the reader."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def install(application: FastAPI, pool: Pool) -> None:
    """Adds the route."""
    rate = Rate(PER_MINUTE)

    @application.post("/api/try")
    async def try_it(request: Request) -> JSONResponse:
        try:
            if HEADER not in request.headers:
                # A page of another site cannot set this header without being asked first, and it is not answered then.
                raise RefusedError(403, "send the header X-Roomtone: try")
            if not rate.allows(request.client.host if request.client else "", time.monotonic()):
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
