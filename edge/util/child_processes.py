"""Supervised child processes: started, restarted with back-off when they exit, stopped together (demo and hub)."""

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


def ended_with_parent(user: str = "") -> list[str]:
    """Return the words before a command that have the kernel end it when this process is killed.

    `user`: whom it runs as, without further rights, where this process is root's; empty: as this process.
    """
    if shutil.which("setpriv") is None:  # It is from util-linux.
        return []
    drop = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", "--pdeathsig", "TERM", *(drop if user and os.geteuid() == 0 else ()), "--"]


@dataclass
class ChildProcess:
    """One supervised process.

    `ready_words`: it is ready when a line of its standard error contains one of them; empty: as soon as it started.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready_words: Sequence[str] = ("ready",)
    on_line: Callable[[str, str], None] | None = None
    user: str = ""
    """Whom it runs as where this process is root's; empty: as this process."""
    may_exit: bool = False
    """Whether exit status 0 is expected (a folder that is played once) and needs no restart."""
    restarts: int = 0
    ready: threading.Event = field(default_factory=threading.Event)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    process: subprocess.Popen[str] | None = None
    ended: bool = False
    _not_before: float = 0.0
    _reader: threading.Thread | None = None

    def start(self) -> None:
        """Start it in its own session: Ctrl-C then reaches only the parent, which stops all children in order."""
        self.process = subprocess.Popen(
            [*ended_with_parent(self.user), *self.argv],
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
        """Restart it with back-off if it has exited; return a message when it has, else None."""
        if self.ended or self.process is None:
            return None
        status = self.process.poll()
        if status is None:
            return None
        if self._not_before == 0.0:
            if self.may_exit and status == 0:
                self.ended = True
                return None
            self._not_before = now + min(10.0, 0.5 * 2**self.restarts)
            return f"{self.name} ended with status {status}; restarting it"
        if now >= self._not_before:
            self._not_before = 0.0
            self.restarts += 1
            self.start()
        return None

    def last_error(self) -> str:
        """Return the last line that it wrote to standard error."""
        if self._reader is not None:
            self._reader.join(timeout=1.0)
        last = next((line for line in reversed(self.last_lines) if line.strip()), "no message")
        return last.removeprefix("roomtone: ")

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send SIGTERM, and after `timeout_s` SIGKILL to its whole session. It is not restarted."""
        process = self.process
        self.ended = True
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._reader is not None:
            self._reader.join(timeout=2.0)


def wait_ready(
    children: Sequence[ChildProcess],
    timeout_s: float,
    on_ready: Callable[[ChildProcess], None],
    stopping: threading.Event,
) -> ChildProcess | None:
    """Wait until all are ready or `stopping` is set; call `on_ready` for each that is.

    Returns the child that exited or was not ready within `timeout_s`, else None.
    """
    deadline = time.monotonic() + timeout_s
    waiting = list(children)
    while waiting and not stopping.is_set():
        for child in list(waiting):
            if child.ready.wait(0.02):
                waiting.remove(child)
                on_ready(child)
            elif child.process is not None and child.process.poll() is not None:
                return child
        if waiting and time.monotonic() > deadline:
            return waiting[0]
    return None
