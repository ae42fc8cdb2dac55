"""One look at the repository as a child process of the link: what parses a stranger's bytes ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from edge.config.settings import Config
from edge.releases.update_check import Outcome, Progress, Task, lines

LIMIT_S: Final = 3600.0
"""A child that takes longer is ended; it goes on at the next look."""


class Child:
    """`running`: sha256 of the model that runs now, and where it is; `tell` is given each step."""

    def __init__(self, config: Config, running: tuple[str, str], tell: Callable[[Progress], None]) -> None:
        self._task = Task(config, running)
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> Outcome:
        """Until it ends, in whatever way. Raises nothing."""
        try:
            return await self._run()
        except OSError as error:
            return Outcome("failed", f"the look at the repository could not be made: {error}")

    async def _run(self) -> Outcome:
        self._process = child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.releases",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        outcome = Outcome("failed", "the look at the repository ended without a word")
        try:
            async with asyncio.timeout(LIMIT_S):
                child.stdin.write(msgspec.json.encode(self._task))
                with contextlib.suppress(ConnectionError):
                    await child.stdin.drain()
                child.stdin.close()
                async for line in child.stdout:
                    for found in lines(iter([line])):
                        if isinstance(found, Outcome):
                            outcome = found
                        else:
                            self._tell(found)
                await child.wait()
        except TimeoutError:
            self.kill()
            await child.wait()
        return outcome

    def kill(self) -> None:
        """Ends it now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
