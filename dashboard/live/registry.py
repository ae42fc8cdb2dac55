"""The live state of all rooms: plain data, independent of the web framework and MQTT.

`RoomRegistry.apply` takes validated messages. Each change increments the revision and is stamped with it, so that a
page that remembers the last revision it has seen is sent only what changed since. Not thread-safe: everything runs on
the event loop.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple

from dashboard.live.decode import IDENTIFYING, Incoming, Message
from dashboard.live.unconfirmed import UnconfirmedNodes
from dashboard.settings import MAX_ROOMS
from dashboard.values import printable, spoken_at
from edge import protocol
from edge.protocol import (
    Event,
    Health,
    Info,
    Level,
    ModelStatus,
    MuteReasons,
    State,
)

RECENT_UTTERANCES: Final = 20
"""Utterances kept for each room."""
KEPT_EVENTS: Final = 200
"""Utterances kept for the list of all rooms."""
KNOWN_IDS: Final = 10_000
"""Event ids remembered to recognise duplicates."""
SILENT_S: Final = 190.0
"""Three health messages are overdue."""
NOT_RETAINED: Final = tuple(topic.leaf for topic in protocol.TOPICS if not topic.retain)


class Utterance(NamedTuple):
    """An event of a room with the time when it was spoken."""

    at: float
    """When the speech began (seconds since 1970, UTC), never later than its arrival."""
    number: int
    """Number of its arrival at this dashboard, from 1."""
    node: str
    event: Event


@dataclass
class Room:
    """The last known state of one room."""

    node: str
    availability: str = ""
    """`online`, `offline` or empty (unknown)."""
    mic: str = ""
    """`ok`, `lost`, `muted`, `starting` or empty (unknown)."""
    muted_by: tuple[str, ...] = ()
    """Why the microphone is closed, as the device says."""
    info: Info | None = None
    recorded: bool = False
    """Whether something of it is in the database."""
    recorded_name: str = ""
    """Its display name in the database."""
    health: Health | None = None
    model: ModelStatus | None = None
    """The model it runs and the progress of an update; None: it takes no updates."""
    state: State | None = None
    """The smoothed emotion, if the device publishes one."""
    level: Level | None = None
    recent: list[Utterance] = field(default_factory=list)
    """The newest utterances, oldest first, at most `RECENT_UTTERANCES`."""
    seen: float = 0.0
    """Arrival of the last message that is not retained (seconds since 1970); 0: none since this start."""
    since: float = 0.0
    """When the current run of utterances with the same emotion began (seconds since 1970)."""
    agitated_since: float | None = None
    """Since when the device reports an episode of agitation (seconds since 1970); None: it reports none."""
    alerted: bool = False
    """Whether an alert is on."""
    silent: bool = False
    """Whether its device is online and has sent nothing for `SILENT_S`."""
    revision: int = 0
    level_revision: int = 0

    @property
    def name(self) -> str:
        """The display name; the node id if there is none."""
        return printable(self.recorded_name if self.info is None else self.info.name) or self.node

    @property
    def has_device(self) -> bool:
        """Whether a device has announced itself; without one there is only what was recorded."""
        return self.info is not None or bool(self.availability)

    @property
    def is_announced(self) -> bool:
        """Whether it is known what the device retains at the broker, which may have sent only a part of it."""
        return self.info is not None and bool(self.availability)

    @property
    def last(self) -> Utterance | None:
        """The newest utterance of the room; None before the first."""
        return self.recent[-1] if self.recent else None


class RoomRegistry:
    """All rooms and the newest events."""

    def __init__(self, max_rooms: int = MAX_ROOMS) -> None:
        self.rooms: dict[str, Room] = {}
        self.revision = 0
        self.arrived = 0
        """Number of events received."""
        self.rejected = 0
        """Messages of rooms beyond `max_rooms`."""
        self._max_rooms = max_rooms
        self._unconfirmed = UnconfirmedNodes(max_rooms)
        self._events: deque[Utterance] = deque(maxlen=KEPT_EVENTS)
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._alerted: frozenset[str] = frozenset()

    def apply(self, incoming: Incoming, now: float) -> bool:
        """Apply a message received at `now` (seconds since 1970); return whether anything changed.

        A room comes into being by a message that only a device publishes.
        """
        node, leaf, message = incoming
        if message is None:
            return self._forget_device(node)
        room = self.rooms.get(node)
        if room is None:
            if leaf not in IDENTIFYING:
                self._unconfirmed.keep(incoming)
                return False
            room = self._add(node)
            if room is None:
                self.rejected += 1
                return False
        revision = self.revision
        if leaf in NOT_RETAINED:
            room.seen = now
            if room.silent:
                room.silent = False
                self._changed(room)
        return self._update(room, leaf, message, now) or self.revision != revision

    def _update(self, room: Room, leaf: str, message: Message, now: float) -> bool:
        """Set what a message says of its room; return whether anything changed."""
        match message:
            case Event():
                if not self._add_event(room, message, now):
                    return False
            case Level():
                if room.level == message:
                    return False
                room.level = message
                self.revision += 1
                room.level_revision = self.revision
                return True
            case State() | Health() | Info() | ModelStatus():
                setattr(room, leaf, message)  # The attributes are named like the topics.
                if isinstance(message, State):
                    room.agitated_since = (room.agitated_since or now) if message.agitated else None
            case MuteReasons():
                room.muted_by = message.muted_by
            case str() if leaf == protocol.MIC.leaf:
                room.mic = message
            case str():
                room.availability = message
                if message == "offline":
                    room.state = room.agitated_since = None
        self._changed(room)
        return True

    def set_recorded(self, names: dict[str, str]) -> bool:
        """Set which rooms are in the database, with their names; return whether anything changed.

        A room that is neither there nor has a device is removed.
        """
        before = self.revision
        for node, name in names.items():
            room = self.rooms.get(node) or self._add(node)
            if room is None or (room.recorded and room.recorded_name == name):
                continue
            room.recorded, room.recorded_name = True, name
            self._changed(room)
        for room in [room for room in self.rooms.values() if room.recorded and room.node not in names]:
            room.recorded, room.recorded_name = False, ""
            self._changed(room)
            if not room.has_device:
                self._remove(room.node)
        return self.revision != before

    def set_alerted(self, nodes: frozenset[str]) -> bool:
        """Set in which rooms an alert is on; return whether anything changed."""
        before, self._alerted = self._alerted, nodes
        changed = [room for node in before ^ nodes if (room := self.rooms.get(node)) is not None]
        for room in changed:
            room.alerted = room.node in nodes
            self._changed(room)
        return bool(changed)

    def find_silent(self, now: float, connected_at: float) -> bool:
        """Find the devices that are online and send nothing; return whether anything changed.

        `now` and `connected_at` (since when this hub hears them): seconds since 1970.
        """
        before = self.revision
        for room in self.rooms.values():
            silent = room.availability == "online" and now - max(room.seen, connected_at) > SILENT_S
            if silent != room.silent:
                room.silent = silent
                if silent:
                    # Without a last will, as after a power cut of device and broker.
                    room.state = room.agitated_since = None
                self._changed(room)
        return self.revision != before

    def agitated_since(self) -> dict[str, float]:
        """Return, by node, since when devices report an episode of agitation (seconds since 1970)."""
        return {
            room.node: room.agitated_since for room in self.rooms.values() if room.agitated_since is not None
        }

    def events_after(self, number: int) -> list[Utterance]:
        """Return the kept events that arrived after the one with this number, newest first."""
        return list(takewhile(lambda utterance: utterance.number > number, reversed(self._events)))

    def erase(self, node: str, begin: float, end: float) -> None:
        """Drop the utterances of a room in `[begin, end)` (seconds since 1970)."""
        room = self.rooms.get(node)
        if room is not None:
            room.recent = [u for u in room.recent if not begin <= u.at < end]
            room.state = None
            self._changed(room)
        kept = [u for u in self._events if u.node != node or not begin <= u.at < end]
        self._events = deque(kept, maxlen=KEPT_EVENTS)

    def _changed(self, room: Room) -> None:
        self.revision += 1
        room.revision = self.revision

    def _add(self, node: str) -> Room | None:
        if len(self.rooms) >= self._max_rooms:
            return None
        room = self.rooms[node] = Room(node, alerted=node in self._alerted)
        for _, leaf, message in self._unconfirmed.take(node):
            self._update(room, leaf, message, 0.0)
        return room

    def _forget_device(self, node: str) -> bool:
        """Handle a device that was taken out of use: what was recorded of its room stays."""
        self._unconfirmed.take(node)
        room = self.rooms.get(node)
        if room is None or not room.recorded:
            return self._remove(node)
        kept = Room(node, recorded=True, recorded_name=room.recorded_name or room.name, alerted=room.alerted)
        kept.recent, kept.since, kept.seen = room.recent, room.since, room.seen
        self.rooms[node] = kept
        self._changed(kept)
        return True

    def _remove(self, node: str) -> bool:
        if self.rooms.pop(node, None) is None:
            return False
        self.revision += 1
        return True

    def _add_event(self, room: Room, event: Event, now: float) -> bool:
        if event.id in self._ids:
            return False
        self._ids[event.id] = None
        if len(self._ids) > KNOWN_IDS:
            self._ids.popitem(last=False)
        self.arrived += 1
        utterance = Utterance(spoken_at(event, now), self.arrived, room.node, event)
        before = room.last
        if before is None or (utterance.at >= before.at and event.event_type != before.event.event_type):
            room.since = utterance.at
        # After an outage a device sends what it kept: such an event is inserted by its time.
        bisect.insort(room.recent, utterance, key=lambda u: u.at)
        del room.recent[:-RECENT_UTTERANCES]
        self._events.append(utterance)
        return True
