"""Which rooms a page is sent: all of a usual hub, and of a large one a part, in order or by a search.

Ten thousand rooms are more than a browser draws and more than a person reads. A page receives `PAGE_ROOMS` of them:
those with an alert, an episode or a problem first, then by name. It asks for the next ones, for what has a text in its
name, and for the one room that it is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, Struct

from dashboard.live.problems import needs_help, urgency
from dashboard.live.registry import Room, RoomRegistry
from dashboard.values import natural_key

PAGE_ROOMS: Final = 200
"""Rooms that a page is sent at most, apart from the one that it is about."""
ORDER_INTERVAL_S: Final = 1.0
"""How often the rooms of a large hub are put in order at most: 10,000 take 30 ms."""
MAX_SEARCH: Final = 64
"""Characters of a search."""


class Wanted(Struct, frozen=True):
    """What a page wants to see."""

    first: Annotated[int, Meta(ge=0)] = 0
    """The place in the order, from 0, of the first room shown."""
    search: Annotated[str, Meta(max_length=MAX_SEARCH)] = ""
    """Only rooms whose name or node id contains this text."""
    room: Annotated[str, Meta(max_length=MAX_SEARCH)] = ""
    """The node id of the room that the page is about; empty: none."""


class Window(NamedTuple):
    """The rooms that a page is sent, and how many there are."""

    nodes: frozenset[str]
    totals: dict[str, Any]
    """`rooms`: of the hub, `attention`: of those need help, `matching`: of the search, `first`: place in these."""


class _Ordered(NamedTuple):
    urgency: int
    key: tuple[str | int, ...]
    name: str
    node: str

    def matches(self, text: str) -> bool:
        return text in self.name or text in self.node


class _Placed(NamedTuple):
    revision: int
    """That of the room when it was placed."""
    place: _Ordered
    needs_help: bool


class RoomOrder:
    """All rooms in the order in which pages show them, shared by all pages."""

    def __init__(self, registry: RoomRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._ordered: list[_Ordered] = []
        self._places: dict[str, _Placed] = {}
        self._attention = 0
        self._revision = -1
        self._ordered_at = float("-inf")

    @property
    def is_behind(self) -> bool:
        """Whether rooms have changed since they were put in order."""
        return self._revision != self._registry.revision

    def window(self, wanted: Wanted, most: int = PAGE_ROOMS) -> Window:
        """Return the rooms for a page, at most `most` and the one that it is about."""
        self._update()
        text = wanted.search.strip().casefold()
        matching = [one for one in self._ordered if one.matches(text)] if text else self._ordered
        first = wanted.first if wanted.first < len(matching) else 0
        nodes = {one.node for one in matching[first : first + most]}
        if wanted.room in self._registry.rooms:
            nodes.add(wanted.room)
        totals = {
            "rooms": len(self._registry.rooms),
            "attention": self._attention,
            "matching": len(matching),
            "first": first,
            "size": PAGE_ROOMS,
        }
        return Window(frozenset(nodes & self._registry.rooms.keys()), totals)

    def _update(self) -> None:
        rooms = self._registry.rooms
        is_large = max(len(rooms), len(self._ordered)) > PAGE_ROOMS
        now = self._clock()
        if not self.is_behind or (is_large and now - self._ordered_at < ORDER_INTERVAL_S):
            return
        before, self._places = self._places, {}
        for node, room in rooms.items():
            known = before.get(node)
            # Names are cleaned of what must not be shown: that is not done again for every room.
            unchanged = known is not None and known.revision == room.revision
            self._places[node] = known if known is not None and unchanged else _placed(room)
        self._ordered = sorted(placed.place for placed in self._places.values())
        self._attention = sum(placed.needs_help for placed in self._places.values())
        self._revision = self._registry.revision
        self._ordered_at = now


def _placed(room: Room) -> _Placed:
    now = time.time()
    name, in_need = room.name.casefold(), needs_help(room, now)
    place = _Ordered(urgency(room, in_need=in_need), natural_key(name), name, room.node)
    return _Placed(room.revision, place, in_need)
