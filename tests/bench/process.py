"""Whole-process figures from /proc: CPU time, resident memory, and lines on standard error as they come."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


class Measured:
    """A child process whose standard error is read line by line and whose use of the machine can be asked for."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv, env=env or dict(os.environ), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self.lines: queue.Queue[tuple[float, str]] = queue.Queue()
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            self.lines.put((time.monotonic(), line.rstrip()))

    def wait_for(self, word: str, timeout_s: float) -> float:
        """Seconds from the start of the process to the first line with that word."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                at, line = self.lines.get(timeout=0.1)
            except queue.Empty:
                if self.process.poll() is not None:
                    break
                continue
            if word in line:
                return at - self.began
        raise RuntimeError(f"{self.process.args} did not say '{word}': {self.said[-5:]}")

    def cpu_s(self) -> float:
        """User and system time so far."""
        return sum(self._times())

    def user_s(self) -> float:
        """Time so far outside of the kernel."""
        return self._times()[0]

    def _times(self) -> tuple[float, float]:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / _TICK, int(fields[12]) / _TICK

    def rss_mb(self) -> float:
        """Resident memory now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")

    def cpu_share(self, seconds: float) -> float:
        """Share of one core during the next so many seconds."""
        before, began = self.cpu_s(), time.monotonic()
        threading.Event().wait(seconds)
        return (self.cpu_s() - before) / (time.monotonic() - began)

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
