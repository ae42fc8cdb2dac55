"""A worker process for recordings, started at the first request, with a short queue and timeouts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 20.0
ANSWER_TIMEOUT_S: Final = 15.0
MAX_REQUESTS: Final = 4
"""Requests that may wait or run at once; more are refused."""
IDLE_TIMEOUT_S: Final = 300.0


class BusyError(Exception):
    """Too many requests at once."""


class ClassifierError(Exception):
    """The recording could not be classified; the message says why."""


class ClassifierPool:
    """Classifies recordings in a worker process, one at a time. Used on the event loop."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._lock = asyncio.Lock()
        self._requests = 0
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def classify(self, data: bytes) -> dict[str, Any]:
        """Classify the bytes of a recording; return the answer as JSON. Raises `BusyError` or `ClassifierError`."""
        if self._requests >= MAX_REQUESTS:
            raise BusyError
        self._requests += 1
        try:
            async with self._lock:
                if self._idle is not None:
                    self._idle.cancel()
                try:
                    return await self._request(data)
                finally:
                    # A model that is not used does not stay in memory.
                    self._idle = asyncio.get_running_loop().call_later(IDLE_TIMEOUT_S, self._kill)
        finally:
            self._requests -= 1

    async def stop(self) -> None:
        """Stop the worker process."""
        if self._idle is not None:
            self._idle.cancel()
        process = self._process
        self._kill()
        if process is not None:
            await process.wait()

    async def _request(self, data: bytes) -> dict[str, Any]:
        process = await self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(struct.pack(">I", len(data)) + data)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await process.stdin.drain()
                return await self._read_line(process)
        except TimeoutError:
            self._kill()
            raise ClassifierError("the classification took too long") from None
        except (OSError, EOFError):
            self._kill()
            raise ClassifierError("the recording could not be read") from None
        except asyncio.CancelledError:
            # The client has disconnected: a late answer must not be taken for that of the next request.
            self._kill()
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        # Only what is needed to find Python, the code and the model: no secrets of the hub.
        keep = ("PATH", "PYTHONPATH", "ROOMTONE_MODELS", "LANG", "HOME", "VIRTUAL_ENV")
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dashboard.tryit.worker",
            self._bundle,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in keep if name in os.environ} | {"OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                hello = await self._read_line(process)
        except (TimeoutError, EOFError):
            self._kill()
            raise ClassifierError("the model did not start") from None
        except asyncio.CancelledError:
            self._kill()
            raise
        if "error" in hello:
            self._kill()
            log.error("recordings cannot be classified: %s", hello["error"])
            raise ClassifierError(str(hello["error"]))
        return process

    async def _read_line(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._process = None
