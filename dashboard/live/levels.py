"""Whom to ask for the level of its sound, and when. A room sends it for a minute after each request, no longer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dashboard.live.rooms import Room

EVERY_S: Final = 50.0
"""Below the minute after which a room stops by itself."""


class LevelRequests:
    """A pure state machine; times are monotonic seconds."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._asked: dict[str, float] = {}

    def due(self, rooms: Iterable[Room], now: float) -> list[str]:
        """The rooms to ask now. A room that was away is asked as soon as it is back: it has forgotten."""
        due = []
        for room in rooms:
            if room.availability != "online":
                self._asked.pop(room.node, None)
            elif now - self._asked.get(room.node, float("-inf")) >= self._every_s:
                self._asked[room.node] = now
                due.append(room.node)
        return due

    def forget(self) -> None:
        """After a new connection to the broker all rooms are asked again."""
        self._asked.clear()
