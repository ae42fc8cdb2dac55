"""Events that no link has acknowledged yet: bounded, in order, the oldest dropped and counted when it is full."""

from __future__ import annotations

from typing import Final

from edge.protocol.messages import MAX_REPORT_BYTES, Event, EventReport, encode

CAPACITY: Final = 1000
"""About 0.5 MB; hours of speech. What must outlive longer is the link's to keep, on disk."""


class Outbox:
    """Not thread-safe: its owner holds a lock."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: dict[str, bytes] = {}  # in order of insertion
        self._sent: set[str] = set()
        self.dropped = 0
        """Events that were dropped because no link took them."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: Event) -> None:
        """Keeps an event until it is acknowledged. Raises `ValueError` when it breaks the contract's limit."""
        data = encode(EventReport(event))
        if len(data) > MAX_REPORT_BYTES:
            raise ValueError(f"an event of {len(data)} bytes, at most {MAX_REPORT_BYTES} are allowed")
        while len(self._waiting) >= self._capacity:
            oldest = next(iter(self._waiting))
            self.acknowledge(oldest)
            self.dropped += 1
        self._waiting[event.id] = data

    def acknowledge(self, event_id: str) -> None:
        """Forgets an event; an unknown id does no harm (the link may acknowledge twice)."""
        self._waiting.pop(event_id, None)
        self._sent.discard(event_id)

    def next_unsent(self) -> tuple[str, bytes] | None:
        """The oldest event that this connection has not seen, as id and message."""
        if len(self._sent) == len(self._waiting):
            return None
        return next(((key, data) for key, data in self._waiting.items() if key not in self._sent), None)

    def mark_sent(self, event_id: str) -> None:
        """It is on its way; on the next connection it goes again."""
        if event_id in self._waiting:
            self._sent.add(event_id)

    def start_over(self) -> None:
        """A new connection: what the old one did not acknowledge may be lost."""
        self._sent.clear()
