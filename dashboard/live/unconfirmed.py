"""What was published of nodes that have not shown yet that they are devices.

Any client can publish `online` below the base topic, and programs that have nothing to do with Roomtone do. A room
comes into being by a message that only a device publishes (`dashboard.live.decode.IDENTIFYING`). A broker sends what is
retained in any order: what it sends before that message is kept here, within a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from dashboard.live.decode import Incoming
from edge import protocol

KEPT_LEAVES: Final = frozenset(topic.leaf for topic in protocol.TOPICS if topic.retain)
"""Other messages come again."""


class UnconfirmedNodes:
    """The last retained messages of nodes without a room, at most of `limit` nodes; the oldest ones are dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, dict[str, Incoming]] = OrderedDict()

    def keep(self, incoming: Incoming) -> None:
        """Keep a message until its node is confirmed, unless it comes again anyway."""
        if incoming.leaf not in KEPT_LEAVES:
            return
        self._kept.setdefault(incoming.node, {})[incoming.leaf] = incoming
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def take(self, node: str) -> list[Incoming]:
        """Return the messages of a node that has a room now, and forget them."""
        return list(self._kept.pop(node, {}).values())

    def __len__(self) -> int:
        return len(self._kept)
