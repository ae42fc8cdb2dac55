"""What a page is told: the state of the house as small JSON objects. Times are milliseconds since 1970.

Short keys and no repetition: an open page is given at most four such patches a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from dashboard.live.rooms import Heard, House, Room, seconds
from edge.protocol.messages import LABELS, UNCERTAIN, Event

View = dict[str, Any]


@dataclass
class Cursor:
    """What a page has seen."""

    revision: int = -1
    number: int = 0


def likeliest(event: Event) -> str:
    """The label with the highest probability, also where the classifier would not commit itself."""
    shares: dict[str, float] = msgspec.structs.asdict(event.probabilities)
    return max(LABELS, key=lambda label: shares[label])


def event_view(heard: Heard) -> View:
    """One line of the list of utterances."""
    event = heard.event
    view: View = {
        "id": event.id,
        "node": heard.node,
        "at": round(heard.at * 1000),
        "emotion": event.event_type,
        "confidence": event.confidence,
        "duration": event.duration_ms,
    }
    if event.event_type == UNCERTAIN:
        view["maybe"] = likeliest(event)
    return view


def room_view(room: Room) -> View:
    """One tile. It follows the last utterance; the smoothed emotion stands in for a room that was not heard yet.

    The other way round a lively room would stand at "not sure" for minutes: smoothed, many moods are none.
    """
    last = room.last
    view: View = {
        "node": room.node,
        "name": room.name,
        "availability": room.availability,
        "mic": room.mic,
        "strip": [event_view(heard) for heard in room.recent],
    }
    if room.health is not None and room.health.certificate_expires is not None:
        view["certificate"] = round(seconds(room.health.certificate_expires, 0.0) * 1000)
    if last is not None:
        view["emotion"] = last.event.event_type
        view["confidence"] = last.event.confidence
        view["since"] = round(room.since * 1000)
        if view["emotion"] == UNCERTAIN:
            view["maybe"] = likeliest(last.event)
    elif room.state is not None:
        view["emotion"] = room.state.emotion
        view["confidence"] = room.state.confidence
        view["since"] = round(seconds(room.state.since, 0.0) * 1000)
    return view


def patch(house: House, cursor: Cursor) -> View:
    """What changed since the cursor, which is moved on. Empty when nothing did."""
    view: View = {}
    if cursor.revision < house.revision:
        rooms = [room_view(room) for room in house.rooms_after(cursor.revision)]
        levels = {
            room.node: [round(room.level.dbfs, 1), room.level.speech]
            for room in house.levels_after(cursor.revision)
            if room.level is not None
        }
        gone = house.removed_after(cursor.revision)
        events = [event_view(heard) for heard in house.events_after(cursor.number)]
        for key, value in (("rooms", rooms), ("levels", levels), ("gone", gone), ("events", events)):
            if value:
                view[key] = value
    cursor.revision = house.revision
    cursor.number = house.arrived
    return view
