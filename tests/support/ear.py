"""The other end of the ear's socket, and the ear as the process that users start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ulid import ULID

from edge.protocol import messages
from edge.protocol.messages import (
    Ack,
    EarCommand,
    EarMessage,
    Event,
    EventReport,
    MicSignal,
    MicState,
    Probabilities,
)


def event(seq: int) -> Event:
    return Event(
        id=str(ULID()),
        boot="7f3a9c01",
        seq=seq,
        event_type="angry",
        confidence=0.81,
        probabilities=Probabilities(
            neutral=0.05, happy=0.02, sad=0.01, angry=0.81, fearful=0.06, disgust=0.03, surprised=0.02
        ),
        started_at="2026-01-01T10:00:00.120Z",
        duration_ms=2310,
        snr_db=18.2,
        level_dbfs=-23.1,
        model="base-1.2.0",
        latency_ms=34,
    )


class Link:
    """The other end, real: a listening socket that the test reads and writes message by message."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(10)
        self.ear: socket.socket | None = None
        self.sizes: list[int] = []
        self.raw: list[bytes] = []

    def accept(self) -> None:
        self.ear, _ = self._listener.accept()

    def receive(self, timeout_s: float = 10.0) -> EarMessage:
        """The next message. Raises `TimeoutError`, and `ConnectionError` when the ear has gone."""
        assert self.ear is not None
        self.ear.settimeout(timeout_s)
        data = self.ear.recv(65536)
        if not data:
            raise ConnectionError("the ear has closed the connection")
        self.sizes.append(len(data))
        self.raw.append(data)
        return messages.decode_ear_message(data)

    def receive_all(self, seconds: float) -> list[EarMessage]:
        """Everything that comes within a time."""
        found: list[EarMessage] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                found.append(self.receive(left))
            except TimeoutError:
                break
        return found

    def events(self, count: int, timeout_s: float) -> list[Event]:
        """Acknowledges and returns so many events; fails when they do not come in time."""
        found: list[Event] = []
        end = time.monotonic() + timeout_s
        while len(found) < count:
            message = self.receive(max(0.01, end - time.monotonic()))
            if isinstance(message, EventReport):
                found.append(message.event)
                self.order(Ack(message.event.id))
        return found

    def events_until_gone(self, timeout_s: float) -> list[Event]:
        """Acknowledges and returns the events until the ear closes the connection."""
        found: list[Event] = []
        end = time.monotonic() + timeout_s
        while True:
            try:
                found += self.events(1, end - time.monotonic())
            except ConnectionError:
                return found

    def wait_for(self, state: MicState, timeout_s: float = 15.0) -> None:
        """Until the ear tells this microphone state."""
        end = time.monotonic() + timeout_s
        while self.receive(max(0.01, end - time.monotonic())) != MicSignal(state):
            pass

    def order(self, message: EarCommand | bytes) -> None:
        assert self.ear is not None
        self.ear.send(message if isinstance(message, bytes) else messages.encode(message))

    def hang_up(self) -> None:
        if self.ear is not None:
            self.ear.close()
            self.ear = None

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


class Ear:
    """`roomtone ear` with its own folders and its log."""

    def __init__(
        self, folder: Path, settings: Mapping[str, object], environment: Mapping[str, str] | None = None
    ) -> None:
        for name in ("home", "tmp", "run", "cwd"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "PULSE_"))},
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            **(environment or {}),
        }
        argv = [sys.executable, "-m", "edge.cli.main", "ear"]
        for key, value in {"runtime.socket": folder / "link.sock", **settings}.items():
            argv += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
        self.process = subprocess.Popen(
            argv,
            cwd=folder / "cwd",
            env=self.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def wait_for_line(self, pattern: str, timeout_s: float = 20.0) -> str:
        """The first line of the log that matches."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for line in list(self.log):
                if re.search(pattern, line):
                    return line
            if self.process.poll() is not None:
                self._reader.join(2.0)
                if not any(re.search(pattern, line) for line in self.log):
                    raise AssertionError(
                        f"ended with {self.process.returncode} before {pattern!r}: {self.log}"
                    )
            time.sleep(0.02)
        raise AssertionError(f"no line like {pattern!r} within {timeout_s} s: {self.log}")

    def wait(self, timeout_s: float = 15.0) -> int:
        """Its exit status."""
        status = self.process.wait(timeout_s)
        self._reader.join(2.0)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end; its exit status."""
        self.process.send_signal(number)
        return self.wait(6.0)

    def kill(self) -> None:
        """Whatever it takes, at the end of a test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def sockets_of(pid: int) -> dict[str, list[str]]:
    """Which kinds of sockets a process holds, by what the kernel's tables say."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
        except FileNotFoundError:
            continue
        if found:
            inodes.add(found[1])
    held: dict[str, list[str]] = {}
    for table in Path(f"/proc/{pid}/net").iterdir():
        if table.name in {
            "unix",
            "tcp",
            "tcp6",
            "udp",
            "udp6",
            "raw",
            "raw6",
            "packet",
            "netlink",
            "udplite",
            "icmp",
        }:
            rows = [row.split() for row in table.read_text(errors="replace").splitlines()[1:]]
            mine: list[Any] = [row for row in rows if inodes & set(row)]
            if mine:
                held[table.name] = [" ".join(row) for row in mine]
    return held
