"""The link's side of the update service: a request over its socket, or to a child process where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge.config.settings import Config
from edge.releases.update_service.messages import MAX_LINE, Check, Outcome, Progress, Request, parse_answer

CHECK_TIMEOUT_S: Final = 3600.0
"""A check that takes longer is ended; the next one resumes it."""
TIMEOUT_S: Final = 60.0


class UpdateClient:
    """Sends the link's requests to the update service; each is handled by a process of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._socket = Path(config.updates.service_socket)

    async def send(
        self, request: Request, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> Outcome:
        """Send a request and wait for its outcome; `on_progress` is called with each step. Raises nothing.

        When the task is cancelled the connection is closed, or the child process ended.
        """
        limit = CHECK_TIMEOUT_S if isinstance(request, Check) else TIMEOUT_S
        try:
            async with asyncio.timeout(limit):
                if self._socket.is_socket():
                    return await self._to_service(request, on_progress)
                return await self._to_child(request, on_progress)
        except TimeoutError:
            return Outcome("failed", f"the update service gave no answer in {limit:.0f} s")
        except OSError as error:
            return Outcome("failed", f"the update service cannot be reached: {error}")

    async def _to_service(self, request: Request, on_progress: Callable[[Progress], None]) -> Outcome:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=MAX_LINE)
        try:
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            return await _outcome(reader, on_progress)
        finally:
            writer.close()

    async def _to_child(self, request: Request, on_progress: Callable[[Progress], None]) -> Outcome:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.releases",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with contextlib.suppress(ConnectionError):
                child.stdin.write(
                    msgspec.json.encode(self._config) + b"\n" + msgspec.json.encode(request) + b"\n"
                )
                await child.stdin.drain()
            child.stdin.close()
            return await _outcome(child.stdout, on_progress)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _outcome(reader: asyncio.StreamReader, on_progress: Callable[[Progress], None]) -> Outcome:
    try:
        async for line in reader:
            answer = parse_answer(line)
            if isinstance(answer, Outcome):
                return answer
            if answer is not None:
                on_progress(answer)
    except ValueError:
        return Outcome("failed", "the answer of the update service is too long")
    return Outcome("failed", "the update service ended without an outcome")
