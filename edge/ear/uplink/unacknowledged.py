"""Queue of the events that the link has not acknowledged: bounded, in order; drops and counts the oldest."""

from __future__ import annotations

from typing import Final

from edge.protocol import MAX_REPORT_BYTES, Event, EventReport, encode

CAPACITY: Final = 1000
"""Events: about 0.5 MB, hours of speech. The link keeps events on disk; this queue bridges its restarts."""


class UnacknowledgedEvents:
    """Bounded queue of unacknowledged events. Not thread-safe: the owner holds a lock."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: dict[str, bytes] = {}  # in order of insertion
        self._sent: set[str] = set()
        self.dropped = 0
        """Events that were dropped because the queue was full."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: Event) -> None:
        """Keep an event until it is acknowledged. Raises `ValueError` when it exceeds the size limit."""
        data = encode(EventReport(event))
        if len(data) > MAX_REPORT_BYTES:
            raise ValueError(f"an event of {len(data)} bytes, at most {MAX_REPORT_BYTES} are allowed")
        while len(self._waiting) >= self._capacity:
            oldest = next(iter(self._waiting))
            self.acknowledge(oldest)
            self.dropped += 1
        self._waiting[event.id] = data

    def acknowledge(self, event_id: str) -> None:
        """Remove an event; unknown ids are ignored (the link may acknowledge twice)."""
        self._waiting.pop(event_id, None)
        self._sent.discard(event_id)

    def next_unsent(self) -> tuple[str, bytes] | None:
        """The oldest event not yet sent on this connection, as id and message; None where there is none."""
        if len(self._sent) == len(self._waiting):
            return None
        return next(((key, data) for key, data in self._waiting.items() if key not in self._sent), None)

    def mark_sent(self, event_id: str) -> None:
        """Mark an event as sent on this connection; the next connection sends it again."""
        if event_id in self._waiting:
            self._sent.add(event_id)

    def on_reconnect(self) -> None:
        """Mark everything as unsent, for a new connection."""
        self._sent.clear()
