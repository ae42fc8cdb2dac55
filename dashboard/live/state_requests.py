"""Which devices to ask for their state, because the broker did not send it.

Everything that is known of a device is retained, and a broker sends it to a new subscriber. Not all do: RabbitMQ sends
nothing retained to a subscription with a wildcard, and a node of an ejabberd cluster only what was published at
itself. A device that is known without having announced itself is asked to publish its state again (`republish`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dashboard.live.registry import Room

WAIT_S: Final = 5.0
"""How long the broker may take after a connection to send what is retained."""
INTERVAL_S: Final = 60.0
"""How often a device is asked that publishes something, and not its state."""
PER_CALL: Final = 50
"""At most so many at once: their answers come to every subscriber."""


class StateRequests:
    """Remembers when each device was asked; times are seconds since 1970."""

    def __init__(self) -> None:
        self._asked_at: dict[str, float] = {}
        self._connected_at: float | None = None

    def due(self, rooms: Mapping[str, Room], now: float) -> list[str]:
        """Return the node ids to ask now. Call it about once a second while there is a connection."""
        if self._connected_at is None:
            self._connected_at = now
        if now - self._connected_at < WAIT_S:
            return []
        if len(self._asked_at) > 2 * len(rooms):
            self._asked_at = {node: at for node, at in self._asked_at.items() if node in rooms}
        due = []
        for room in rooms.values():
            if not room.is_announced and self._is_due(room, now):
                self._asked_at[room.node] = now
                due.append(room.node)
                if len(due) == PER_CALL:
                    break
        return due

    def reset(self) -> None:
        """Begin anew: at another connection, perhaps to another node, the broker may send what it did not before."""
        self._asked_at.clear()
        self._connected_at = None

    def _is_due(self, room: Room, now: float) -> bool:
        asked_at = self._asked_at.get(room.node)
        if asked_at is None:
            return True
        # One that is only recorded may be gone for good: it is asked once. One that is heard is there.
        return room.seen > asked_at and now - asked_at >= INTERVAL_S
