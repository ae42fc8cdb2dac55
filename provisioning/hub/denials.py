"""What mosquitto itself refuses, and to whom: counted from its log, in a small file that the dashboard reads.

mosquitto names a message without the right to publish it only among its debugging lines, and a subscription without
the right to it not at all: it lists what was requested, and after it what was granted. So `hub broker` runs it with all
lines, counts, and passes on those that the configuration would have had.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from edge.util.atomic_file import write
from provisioning.fleet.rights import EVERYTHING, FLEET_CLIENT

MAX_DENIALS: Final = 40
"""Entries that are kept; one more replaces the one that was counted longest ago."""
MAX_CLIENT: Final = 64
MAX_TOPIC: Final = 120
MAX_FILE: Final = 65_536
"""Bytes of the file: 40 entries whose characters all need an escape are smaller."""
EVERY_S: Final = 2.0
"""The shortest time between two versions of the file."""

UNKNOWN: Final = "<unknown>"
"""What mosquitto calls a client that has not said its id."""
PROOF: Final = (FLEET_CLIENT, EVERYTHING)
"""Client and topic by which `roomtone fleet` sees that the broker has the rights: this has to be refused."""

Kind = Literal["publish", "subscribe", "login", "no_certificate", "certificate"]

_TIME: Final = re.compile(r"\d+: ")
# The id is the name in the certificate, which no client chooses; the topic is what a client likes. So the first bracket
# ends the id. Long lines are cut off by mosquitto.
_PUBLISH: Final = re.compile(
    r"Denied PUBLISH from (?P<client>.*?) \(d\d, q\d, r\d, m\d+, '(?P<topic>.*?)(?:', \.\.\. \(\d+ bytes\)\))?$"
)
_SUBSCRIBE: Final = re.compile(r"Received SUBSCRIBE from (?P<client>.*)")
_REQUESTED: Final = re.compile(r"\t(?P<topic>.*?)(?: \(QoS \d\))?$")
_LOGIN: Final = re.compile(r"Client (?P<client>.*?)(?: \[\S+\])? disconnected[,:] not authori[sz]ed\.?$")
_HANDSHAKES: Final[dict[str, Kind]] = {
    "peer did not return a certificate": "no_certificate",
    "certificate verify failed": "certificate",
}
_HANDSHAKE: Final = re.compile(
    rf"(?:OpenSSL Error|Client connection from ).*SSL routines:.*:(?P<reason>{'|'.join(_HANDSHAKES)})\.?$"
)
# The last one is of a client that has gone meanwhile; mosquitto counts it among its debugging lines, too.
_DEBUGGING: Final = (
    "Received ", "Sending ", "Denied ", "\t", "No will message ", "Will message ", "Error in epoll re-registering ",
)  # fmt: skip


class Denial(msgspec.Struct, frozen=True):
    """What one client was refused of one kind."""

    client: str
    """Its id; empty where it was refused before it had one."""
    kind: Kind
    count: int
    topic: str
    """Of the last one; empty where there is none."""
    at: float
    """Of the last one, seconds since 1970."""


class Report(msgspec.Struct, frozen=True):
    """The content of the file."""

    since: float
    """When the counting began, seconds since 1970."""
    total: int
    """All of them, also those that are not kept any more."""
    denials: list[Denial]
    """The one counted last first."""


class Denials:
    """Counts what is refused in the lines of mosquitto's log. Thread-safe, bounded in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = time.time()
        self._total = 0
        self._kept: OrderedDict[tuple[str, Kind], Denial] = OrderedDict()
        self._subscriber = ""
        self._requested: str | None = None
        self._written = -1
        self._not_before = 0.0

    def add(self, line: str) -> bool:
        """Count what a line says; return whether it is a debugging line, which is of no use to people."""
        text = _TIME.sub("", line, count=1)
        if self._requested is not None:
            # A topic that was granted is followed by a line that begins with the client.
            denied = text.startswith(("\t", "Sending SUBACK "))
            if denied and (self._subscriber, self._requested) != PROOF:
                self._count(self._subscriber, "subscribe", self._requested)
            self._requested = None
        if text.startswith("\t"):
            if self._subscriber and (found := _REQUESTED.match(text)):
                self._requested = found["topic"]
        elif found := _SUBSCRIBE.match(text):
            self._subscriber = found["client"]
        elif found := _PUBLISH.match(text):
            self._count(found["client"], "publish", found["topic"])
        elif found := _LOGIN.match(text):
            self._count(found["client"], "login")
        elif found := _HANDSHAKE.match(text):
            self._count("", _HANDSHAKES[found["reason"]])
        return text.startswith(_DEBUGGING)

    def report(self) -> Report:
        """Return everything that is known."""
        with self._lock:
            return Report(self._since, self._total, list(reversed(self._kept.values())))

    def save(self, path: Path) -> None:
        """Write the file where something was counted since the last time, not too often. Raises `OSError`."""
        now = time.monotonic()
        report = self.report()
        if report.total == self._written or now < self._not_before:
            return
        self._not_before = now + EVERY_S
        write(path, msgspec.json.encode(report), 0o644)
        self._written = report.total

    def _count(self, client: str, kind: Kind, topic: str = "") -> None:
        client = "" if client == UNKNOWN else _printable(client, MAX_CLIENT)
        with self._lock:
            self._total += 1
            known = self._kept.pop((client, kind), None)
            count = 1 if known is None else known.count + 1
            self._kept[client, kind] = Denial(client, kind, count, _printable(topic, MAX_TOPIC), time.time())
            while len(self._kept) > MAX_DENIALS:
                self._kept.popitem(last=False)


def follow(lines: Iterable[bytes], denials: Denials) -> None:
    """Count in all lines of mosquitto until it ends, and print to standard error those that are for people."""
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\n")
        if not denials.add(text):
            # Who reads the log may be gone; mosquitto would wait for ever if its lines were not read on.
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()


def read(path: Path) -> Report | None:
    """Return what the file says; None where there is none, or where it is damaged."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def _printable(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:length])
