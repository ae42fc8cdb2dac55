"""What is known of every room right now: plain state, without NiceGUI and without MQTT.

`House.apply` takes checked messages; every change raises the house's revision and stamps the room with it, so that
a page which remembers the last revision it has seen can be given only what changed since.
All of it lives on one thread (the event loop's).
"""

from __future__ import annotations

import bisect
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple

from msgspec import UNSET

from dashboard.live.decode import Incoming
from edge.protocol import messages
from edge.protocol.messages import (
    Event,
    Health,
    Info,
    Level,
    ModelStatus,
    State,
)
from edge.util import timestamps

MAX_ROOMS: Final = 1000
"""A broken or hostile publisher must not fill memory with rooms that do not exist."""
STRIP: Final = 20
KEPT_EVENTS: Final = 200
KNOWN_IDS: Final = 10_000
LIVE: Final = tuple(topic.leaf for topic in messages.TOPICS if not topic.retain)


class Heard(NamedTuple):
    """An event in a room, in the order of `at`."""

    at: float
    """When the speech began (seconds since 1970, UTC), never later than its arrival: clocks of boxes may run ahead."""
    number: int
    """Counts arrivals at this dashboard, from 1."""
    node: str
    event: Event


@dataclass
class Room:
    """One room."""

    node: str
    availability: str = ""
    """`online`, `offline` or empty: not known."""
    mic: str = ""
    """`ok`, `lost`, `muted`, `starting` or empty: not known."""
    info: Info | None = None
    health: Health | None = None
    model: ModelStatus | None = None
    """What it runs, and what becomes of a new one; None: it takes no updates."""
    state: State | None = None
    """The smoothed emotion, where the room publishes one."""
    level: Level | None = None
    recent: list[Heard] = field(default_factory=list)
    """The newest utterances, oldest first, at most `STRIP`."""
    seen: float = 0.0
    """When it last said something that the broker does not keep (seconds since 1970); 0: not since this start."""
    since: float = 0.0
    """When the run of equal emotions began to which the newest utterance belongs."""
    revision: int = 0
    level_revision: int = 0

    @property
    def name(self) -> str:
        """What people call it."""
        return clean("" if self.info is None else self.info.name) or self.node

    @property
    def last(self) -> Heard | None:
        """The newest utterance."""
        return self.recent[-1] if self.recent else None


class House:
    """All rooms and the newest events."""

    def __init__(self, max_rooms: int = MAX_ROOMS) -> None:
        self.rooms: dict[str, Room] = {}
        self.removed: OrderedDict[str, int] = OrderedDict()
        """Rooms that are gone, with the revision at which they went."""
        self.revision = 0
        self.arrived = 0
        """Number of the newest event."""
        self.refused = 0
        """Messages of rooms beyond `max_rooms`."""
        self._max_rooms = max_rooms
        self._events: deque[Heard] = deque(maxlen=KEPT_EVENTS)
        self._ids: OrderedDict[str, None] = OrderedDict()

    def apply(self, incoming: Incoming, now: float) -> bool:
        """Takes a message that arrived at `now` (seconds since 1970); says whether anything changed."""
        node, leaf, message = incoming
        if message is None:
            return self._remove(node)
        room = self.rooms.get(node) or self._add(node)
        if room is None:
            self.refused += 1
            return False
        room.seen = now if leaf in LIVE else room.seen
        match message:
            case Event():
                if not self._hear(room, message, now):
                    return False
            case Level():
                if room.level == message:
                    return False
                room.level = message
                self.revision += 1
                room.level_revision = self.revision
                return True
            case State() | Health() | Info() | ModelStatus():
                setattr(room, leaf, message)  # They are kept under the names of their topics.
            case str() if leaf == messages.MIC.leaf:
                room.mic = message
            case str():
                room.availability = message
                if message == "offline":
                    room.state = None
        self.revision += 1
        room.revision = self.revision
        return True

    def events_after(self, number: int) -> list[Heard]:
        """The kept events that arrived after the one with this number, newest first."""
        return list(takewhile(lambda heard: heard.number > number, reversed(self._events)))

    def rooms_after(self, revision: int) -> Iterator[Room]:
        """The rooms of which anything but the level changed after a revision."""
        return (room for room in self.rooms.values() if room.revision > revision)

    def levels_after(self, revision: int) -> Iterator[Room]:
        """The rooms whose level changed after a revision."""
        return (room for room in self.rooms.values() if room.level_revision > revision)

    def removed_after(self, revision: int) -> list[str]:
        """The rooms that went after a revision."""
        return [node for node, at in self.removed.items() if at > revision]

    def forget(self, node: str, begin: float, end: float) -> None:
        """What a room said from one time to another (seconds since 1970) is no more."""
        room = self.rooms.get(node)
        if room is not None:
            room.recent = [heard for heard in room.recent if not begin <= heard.at < end]
            room.state = None
            self.revision += 1
            room.revision = self.revision
        kept = [heard for heard in self._events if heard.node != node or not begin <= heard.at < end]
        self._events = deque(kept, maxlen=KEPT_EVENTS)

    def _add(self, node: str) -> Room | None:
        if len(self.rooms) >= self._max_rooms:
            return None
        self.removed.pop(node, None)
        room = self.rooms[node] = Room(node)
        return room

    def _remove(self, node: str) -> bool:
        if self.rooms.pop(node, None) is None:
            return False
        self.revision += 1
        self.removed[node] = self.revision
        while len(self.removed) > self._max_rooms:
            self.removed.popitem(last=False)
        return True

    def _hear(self, room: Room, event: Event, now: float) -> bool:
        if event.id in self._ids:
            return False
        self._ids[event.id] = None
        if len(self._ids) > KNOWN_IDS:
            self._ids.popitem(last=False)
        self.arrived += 1
        heard = Heard(heard_at(event, now), self.arrived, room.node, event)
        before = room.last
        if before is None or (heard.at >= before.at and event.event_type != before.event.event_type):
            room.since = heard.at
        # After an outage a box sends what it kept: such an event takes its place among the earlier ones.
        bisect.insort(room.recent, heard, key=lambda h: h.at)
        del room.recent[:-STRIP]
        self._events.append(heard)
        return True


def clean(name: str) -> str:
    """A name without control and direction characters, which could rearrange a page or upset a database."""
    return "".join(character for character in name if character.isprintable()).strip()


def heard_at(event: Event, now: float) -> float:
    """When the speech began, for an event that arrives at `now` (seconds since 1970).

    Never later than its arrival: clocks of boxes may run ahead. A box that does not know the time says so.
    """
    if event.clock is not UNSET:
        return now - event.duration_ms / 1000
    return min(seconds(event.started_at, now), now)


def seconds(text: str, otherwise: float) -> float:
    """A timestamp of the contract as seconds since 1970; `otherwise` for a date that does not exist."""
    try:
        return timestamps.parse(text).timestamp()
    except (ValueError, OverflowError):
        return otherwise
