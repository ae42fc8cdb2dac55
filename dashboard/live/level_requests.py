"""When to request sound levels. A device publishes its level only for a minute after each request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dashboard.live.registry import Room

INTERVAL_S: Final = 50.0
"""Shorter than the minute after which a device stops by itself."""


class LevelRequests:
    """Remembers when each room was last asked for its sound level; times are monotonic seconds."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._requested_at: dict[str, float] = {}

    def due(self, rooms: Iterable[Room], now: float) -> list[str]:
        """Return the node ids to ask now; a device that was offline is asked as soon as it is back."""
        due = []
        for room in rooms:
            if room.availability != "online":
                self._requested_at.pop(room.node, None)
            elif now - self._requested_at.get(room.node, float("-inf")) >= self._interval_s:
                self._requested_at[room.node] = now
                due.append(room.node)
        return due

    def reset(self) -> None:
        """Forget all requests: after a new connection to the broker all rooms are asked again."""
        self._requested_at.clear()
