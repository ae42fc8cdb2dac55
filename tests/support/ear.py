"""The other end of the ear's socket, and the ear as the process that users start."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge import protocol
from edge.protocol import (
    Ack,
    EarCommand,
    EarMessage,
    MicState,
    UtteranceReport,
    UtteranceValues,
)
from tests.support.process import RoomtoneProcess, environment_without, options


class Link:
    """The other end, real: a listening socket that the test reads and writes message by message."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(60)
        self.ear: socket.socket | None = None
        self.sizes: list[int] = []
        self.raw: list[bytes] = []
        self.numbers: list[int] = []
        """The numbers of the utterances that `events` has returned."""

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
        return protocol.decode_ear_message(data)

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

    def events(self, count: int, timeout_s: float) -> list[UtteranceValues]:
        """Acknowledges and returns so many utterances; fails when they do not come in time."""
        found: list[UtteranceValues] = []
        end = time.monotonic() + timeout_s
        while len(found) < count:
            message = self.receive(max(0.01, end - time.monotonic()))
            if isinstance(message, UtteranceReport):
                self.numbers.append(message.n)
                found.append(message.values)
                self.order(Ack(message.n))
        return found

    def events_until_gone(self, timeout_s: float) -> list[UtteranceValues]:
        """Acknowledges and returns the utterances until the ear closes the connection."""
        found: list[UtteranceValues] = []
        end = time.monotonic() + timeout_s
        while True:
            try:
                found += self.events(1, end - time.monotonic())
            except ConnectionError:
                return found

    def wait_for(self, state: MicState, timeout_s: float = 15.0) -> None:
        """Until the ear tells this microphone state."""
        end = time.monotonic() + timeout_s
        while getattr(self.receive(max(0.01, end - time.monotonic())), "state", None) != state:
            pass

    def order(self, message: EarCommand | bytes) -> None:
        assert self.ear is not None
        self.ear.send(message if isinstance(message, bytes) else protocol.encode(message))

    def hang_up(self) -> None:
        if self.ear is not None:
            self.ear.close()
            self.ear = None

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


class Ear(RoomtoneProcess):
    """`roomtone ear` with folders of its own; started at once."""

    def __init__(
        self, folder: Path, settings: Mapping[str, object], environment: Mapping[str, str] | None = None
    ) -> None:
        for name in ("home", "tmp", "run", "cwd"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        own = {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            **(environment or {}),
        }
        super().__init__(
            folder,
            "ear",
            *options({"runtime.socket": folder / "link.sock", **settings}),
            environment=environment_without("XDG_", "PULSE_", **own),
            cwd=folder / "cwd",
            stdout=subprocess.PIPE,
        )
        self.start(wait=False)


def playback(room: Path, **more: object) -> dict[str, object]:
    """Settings for a folder of recordings in the place of a microphone."""
    return {
        "audio.source": "playback",
        "audio.playback_dir": room,
        **{f"audio.{key}": value for key, value in more.items()},
    }


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
