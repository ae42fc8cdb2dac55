"""Unit tests start no process: what does is a system test."""

from __future__ import annotations

import _posixsubprocess
import sys
from collections.abc import Iterator

import pytest

SPAWNING = {
    "subprocess.Popen",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.system",
    "pty.spawn",
}


class ProcessStarted(AssertionError):
    """A unit test, or what it tests, started a process."""


class Guard:
    """Watches the interpreter's own audit events; an audit hook cannot be removed, so it is switched off."""

    def __init__(self) -> None:
        self.on = False
        self.started: list[str] = []
        sys.addaudithook(self._audit)

    def refuse(self, what: str) -> None:
        self.started.append(what)
        raise ProcessStarted(f"{what}: a test that needs a process belongs into tests/system")

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event in SPAWNING:
            self.refuse(f"{event} {arguments[:2]}")


GUARD = Guard()


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    # multiprocessing's way to start a process, which raises no audit event.
    monkeypatch.setattr(_posixsubprocess, "fork_exec", lambda *a: GUARD.refuse(f"fork_exec {a[:2]}"))
    GUARD.started.clear()
    GUARD.on = True
    yield GUARD
    GUARD.on = False
    if GUARD.started:
        pytest.fail(f"processes were started: {GUARD.started}")
