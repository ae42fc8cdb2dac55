"""Queue of the utterances that the link has not acknowledged: bounded, in order; drops and counts the oldest."""

from __future__ import annotations

from typing import Final

from edge.protocol import MAX_REPORT_BYTES, UtteranceReport, encode

CAPACITY: Final = 1000
"""Utterances: about 0.3 MB, hours of speech. The link keeps events on disk; this queue bridges its restarts."""


class UnacknowledgedUtterances:
    """Bounded queue of unacknowledged utterances. Not thread-safe: the owner holds a lock."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: dict[int, bytes] = {}  # in order of insertion
        self._sent: set[int] = set()
        self.dropped = 0
        """Utterances that were dropped because the queue was full."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, report: UtteranceReport) -> None:
        """Keep an utterance until it is acknowledged. Raises `ValueError` when it exceeds the size limit."""
        data = encode(report)
        if len(data) > MAX_REPORT_BYTES:
            raise ValueError(f"an utterance of {len(data)} bytes, at most {MAX_REPORT_BYTES} are allowed")
        while len(self._waiting) >= self._capacity:
            oldest = next(iter(self._waiting))
            self.acknowledge(oldest)
            self.dropped += 1
        self._waiting[report.n] = data

    def acknowledge(self, n: int) -> None:
        """Remove an utterance; unknown numbers are ignored (the link may acknowledge twice)."""
        self._waiting.pop(n, None)
        self._sent.discard(n)

    @property
    def oldest(self) -> int | None:
        """The lowest number that waits; None where there is none."""
        return next(iter(self._waiting), None)

    def next_unsent(self) -> tuple[int, bytes] | None:
        """The oldest utterance not yet sent on this connection, as number and message; None where there is none."""
        if len(self._sent) == len(self._waiting):
            return None
        return next(((key, data) for key, data in self._waiting.items() if key not in self._sent), None)

    def mark_sent(self, n: int) -> None:
        """Mark an utterance as sent on this connection; the next connection sends it again."""
        if n in self._waiting:
            self._sent.add(n)

    def on_reconnect(self) -> None:
        """Mark everything as unsent, for a new connection."""
        self._sent.clear()
