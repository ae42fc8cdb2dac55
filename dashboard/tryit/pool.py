"""One worker, started at the first request, with a short queue before it. Everything has a limit in time."""

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

START_S: Final = 20.0
ANSWER_S: Final = 15.0
WAITING: Final = 4
"""How many requests may be in the house at once; the next one is told to come again."""
IDLE_S: Final = 300.0


class BusyError(Exception):
    """Too many at once."""


class BrokenError(Exception):
    """There is no answer; the text says why, for people."""


class Pool:
    """Lives on the event loop."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._lock = asyncio.Lock()
        self._inside = 0
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def classify(self, data: bytes) -> dict[str, Any]:
        """The answer to one recording. Raises `BusyError` or `BrokenError`."""
        if self._inside >= WAITING:
            raise BusyError
        self._inside += 1
        try:
            async with self._lock:
                if self._idle is not None:
                    self._idle.cancel()
                try:
                    return await self._ask(data)
                finally:
                    # A model that nobody uses need not stay in memory.
                    self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._kill)
        finally:
            self._inside -= 1

    async def stop(self) -> None:
        """Ends the worker."""
        if self._idle is not None:
            self._idle.cancel()
        process = self._process
        self._kill()
        if process is not None:
            await process.wait()

    async def _ask(self, data: bytes) -> dict[str, Any]:
        process = await self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(struct.pack(">I", len(data)) + data)
            async with asyncio.timeout(ANSWER_S):
                await process.stdin.drain()
                return await self._line(process)
        except TimeoutError:
            self._kill()
            raise BrokenError("it took too long") from None
        except (OSError, EOFError):
            self._kill()
            raise BrokenError("the recording could not be read") from None
        except asyncio.CancelledError:
            # The reader has gone; an answer that comes later must not become the next one's.
            self._kill()
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        # None of the hub's secrets; only what finds Python, the code and the model.
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
            async with asyncio.timeout(START_S):
                hello = await self._line(process)
        except (TimeoutError, EOFError):
            self._kill()
            raise BrokenError("the model did not start") from None
        except asyncio.CancelledError:
            self._kill()
            raise
        if "error" in hello:
            self._kill()
            log.error("trying is not possible: %s", hello["error"])
            raise BrokenError(str(hello["error"]))
        return process

    async def _line(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
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
