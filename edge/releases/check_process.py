"""A check for updates in a child process of the link: whatever downloaded bytes do to it ends with the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from edge.config.settings import Config
from edge.releases.update_check import CheckRequest, Outcome, Progress, parse_lines

TIMEOUT_S: Final = 3600.0
"""A check that takes longer is killed; the next one resumes it."""


class CheckProcess:
    """One check. `running`: sha256 and path of the model that runs now; `on_progress` is called with each step."""

    def __init__(
        self, config: Config, running: tuple[str, str], on_progress: Callable[[Progress], None]
    ) -> None:
        self._request = CheckRequest(config, running)
        self._on_progress = on_progress
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> Outcome:
        """Run the check to its end. Raises nothing."""
        try:
            return await self._run()
        except OSError as error:
            return Outcome("failed", f"the check for updates could not be started: {error}")

    async def _run(self) -> Outcome:
        self._process = child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.releases",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        outcome = Outcome("failed", "the check for updates ended without a result")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                child.stdin.write(msgspec.json.encode(self._request))
                with contextlib.suppress(ConnectionError):
                    await child.stdin.drain()
                child.stdin.close()
                async for line in child.stdout:
                    for found in parse_lines(iter([line])):
                        if isinstance(found, Outcome):
                            outcome = found
                        else:
                            self._on_progress(found)
                await child.wait()
        except TimeoutError:
            self.kill()
            await child.wait()
        return outcome

    def kill(self) -> None:
        """End the process now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
