"""What the hub refused of devices, and why: messages that break the protocol, by the device that sent them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_SENDERS: Final = 20
"""Senders that are kept; one more replaces the one that was refused longest ago."""
MAX_REASON: Final = 120


@dataclass(frozen=True)
class Refusal:
    """The messages of one sender that were refused since the start."""

    sender: str
    """The level of the topic at which a node id stands; what it is not is cut off and made printable."""
    count: int
    reason: str
    """Of the last one."""
    at: float
    """Of the last one, seconds since 1970."""


class Refusals:
    """Counts refused messages by sender. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_sender: OrderedDict[str, Refusal] = OrderedDict()
        self._total = 0

    @property
    def total(self) -> int:
        """All of them, also those whose sender is not kept any more."""
        return self._total

    def add(self, base_topic: str, topic: str, reason: str, at: float) -> None:
        """Count one message that was refused."""
        sender = _printable(topic.removeprefix(f"{base_topic}/").partition("/")[0], 64)
        with self._lock:
            self._total += 1
            known = self._by_sender.pop(sender, None)
            count = 1 if known is None else known.count + 1
            self._by_sender[sender] = Refusal(sender, count, _printable(reason, MAX_REASON), at)
            while len(self._by_sender) > MAX_SENDERS:
                self._by_sender.popitem(last=False)

    def latest(self) -> list[Refusal]:
        """Return the senders that are kept, the one refused last first."""
        with self._lock:
            return list(reversed(self._by_sender.values()))


def _printable(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:length])
