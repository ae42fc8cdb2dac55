"""Child processes that are started, watched, started again when they die, and stopped without leaving one behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Should the demo itself be killed, the kernel ends its children: nothing keeps listening. (From util-linux.)
_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()


@dataclass
class Child:
    """One supervised process. `ready_words`: what its standard error says when it is up; none: up when started."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready_words: Sequence[str] = ("ready",)
    on_line: Callable[[str, str], None] | None = None
    may_end: bool = False
    """Whether exit status 0 is its natural end (a room that is played once)."""
    restarts: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    process: subprocess.Popen[str] | None = None
    ended: bool = False
    _not_before: float = 0.0
    _reader: threading.Thread | None = None

    def start(self) -> None:
        """Starts it in a session of its own: a Ctrl-C then reaches the demo alone, which stops all in order."""
        self.process = subprocess.Popen(
            [*_WITH_PARENT, *self.argv],
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if not self.ready_words:
            self.ready.set()
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            text = line.rstrip()
            self.last_lines.append(text)
            if any(word in text for word in self.ready_words):
                self.ready.set()
            if self.on_line is not None:
                self.on_line(self.name, text)

    def check(self, now: float) -> str | None:
        """Restarts it with back-off when it has died; returns what happened, if anything did."""
        if self.ended or self.process is None:
            return None
        status = self.process.poll()
        if status is None:
            return None
        if self._not_before == 0.0:
            if self.may_end and status == 0:
                self.ended = True
                return None
            self._not_before = now + min(10.0, 0.5 * 2**self.restarts)
            return f"{self.name} ended with status {status}; starting it again"
        if now >= self._not_before:
            self._not_before = 0.0
            self.restarts += 1
            self.start()
        return None

    def why_it_died(self) -> str:
        """Its last words."""
        if self._reader is not None:
            self._reader.join(timeout=1.0)
        last = next((line for line in reversed(self.last_lines) if line.strip()), "it said nothing")
        return last.removeprefix("roomtone: ")

    def stop(self, patience_s: float = 5.0) -> None:
        """SIGTERM, and SIGKILL to its whole session when that does not help."""
        process = self.process
        self.ended = True
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)


def wait_ready(
    children: Sequence[Child], timeout_s: float, tick: Callable[[Child], None], stopping: threading.Event
) -> Child | None:
    """Waits until all are up, or `stopping`; calls `tick` for each that is.

    Returns the one that died or took too long, or None.
    """
    deadline = time.monotonic() + timeout_s
    waiting = list(children)
    while waiting and not stopping.is_set():
        for child in list(waiting):
            if child.ready.wait(0.02):
                waiting.remove(child)
                tick(child)
            elif child.process is not None and child.process.poll() is not None:
                return child
        if waiting and time.monotonic() > deadline:
            return waiting[0]
    return None
