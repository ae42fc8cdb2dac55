"""Any of Roomtone's programs as users start it: a process of its own, with its messages in a file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Self

from tests.conftest import ROOT
from tests.support.waiting import until

ROOMTONE = (sys.executable, "-m", "edge.cli.main")


def options(settings: Mapping[str, object] | Iterable[str]) -> list[str]:
    """`--set key=value` for each setting."""
    if isinstance(settings, Mapping):
        settings = [f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in settings.items()]
    return [word for setting in settings for word in ("--set", setting)]


def environment_without(*prefixes: str, **more: str) -> dict[str, str]:
    """This process's environment without variables of these prefixes, and with others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | {"PYTHONPATH": str(ROOT)} | more


def roomtone(
    *words: object,
    seconds: float = 60.0,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; status, standard output and standard error as text."""
    return subprocess.run(
        [*ROOMTONE, *map(str, words)],
        capture_output=True, text=True, check=False, timeout=seconds, cwd=cwd, env=environment,
    )  # fmt: skip


class RoomtoneProcess:
    """`roomtone COMMAND`, which runs until it is stopped.

    Its messages go to `folder/COMMAND.log`; every further start of the same object appends. `start`
    returns when it says that it is ready. As a context manager it is started and, at the end, killed.
    """

    READY = re.compile(r"^(?:.* )?ready\b", re.MULTILINE)
    """What each program writes when others can rely on it, as it tells systemd at the same moment."""

    def __init__(
        self,
        folder: Path,
        *words: object,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int | IO[bytes] | None = None,
    ) -> None:
        self.folder = folder
        self.log_path = folder / f"{words[0]}.log"
        self.log_path.unlink(missing_ok=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.words = [str(word) for word in words]
        self.environment = environment_without() if environment is None else dict(environment)
        self.cwd = cwd
        self._stdout = stdout
        self.started = 0.0
        self._begin = 0

    def start(self, wait: bool = True) -> Self:
        self._begin = len(self.log)
        self.started = time.monotonic()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*ROOMTONE, *self.words],
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log if self._stdout is None else self._stdout,
                stderr=log,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float = 90.0) -> str:
        """Until this start is ready; the line that says so. Fails at once when the process ends."""
        return self.wait_for_line(self.READY, seconds)

    def wait_for_line(self, pattern: str | re.Pattern[str], seconds: float = 20.0) -> str:
        """The first line since this start in which the pattern is found."""

        def found() -> str:
            running = self.running
            for line in self.log[self._begin :].splitlines():
                if re.search(pattern, line):
                    return line
            assert running, f"{self.words[0]} has ended without {pattern}: {self.log}"
            return ""

        return until(found, seconds, lambda: f"{pattern} of {self.words[0]}: {self.log}")

    @property
    def log(self) -> str:
        """Everything that it has written to standard error, of all its starts."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    @property
    def codes(self) -> list[str]:
        """The codes of its messages, in order: `WARNING link: [session_expired] …` has `session_expired`."""
        return re.findall(r"^[A-Z]+ [\w.]+: \[([a-z0-9_]+)\]", self.log, re.MULTILINE)

    def coded(self, code: str) -> list[str]:
        """The lines that have this code."""
        return [line for line in self.lines if f": [{code}] " in line]

    @property
    def lines(self) -> list[str]:
        return self.log.splitlines()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds: float = 15.0) -> int:
        """Until it ends by itself; its exit status."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15.0) -> int:
        """Send a signal and wait; its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def stop_timed(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """The exit status, and how many seconds it took."""
        begin = time.monotonic()
        return self.stop(number), time.monotonic() - begin

    def kill(self) -> None:
        """At the end of a test, whatever state it is in."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
