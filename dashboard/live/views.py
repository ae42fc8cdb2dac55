"""JSON views of the live state, as the pages receive them. Times are milliseconds since 1970.

Kept small: an open page receives up to four patches a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from dashboard.live.registry import Room, RoomRegistry, Utterance
from dashboard.values import parse_timestamp
from edge.protocol import LABELS, UNCERTAIN, Event

View = dict[str, Any]


@dataclass
class Cursor:
    """The revision and the event number up to which a page has been updated."""

    revision: int = -1
    number: int = 0


def most_likely_label(event: Event) -> str:
    """Return the label with the highest probability, also for an event that is classified as uncertain."""
    shares: dict[str, float] = msgspec.structs.asdict(event.probabilities)
    return max(LABELS, key=lambda label: shares[label])


def event_view(utterance: Utterance) -> View:
    """Return one entry of the list of utterances."""
    event = utterance.event
    view: View = {
        "id": event.id,
        "node": utterance.node,
        "at": round(utterance.at * 1000),
        "emotion": event.event_type,
        "confidence": event.confidence,
        "duration": event.duration_ms,
    }
    if event.event_type == UNCERTAIN:
        view["maybe"] = most_likely_label(event)
    if event.arousal is not UNSET:
        view["arousal"] = event.arousal
    return view


def room_view(room: Room) -> View:
    """Return the tile of a room.

    It shows the last utterance; the smoothed emotion is used only as long as there is none, because smoothing over
    different emotions would leave a lively room at "not sure" for minutes.
    """
    last = room.last
    view: View = {
        "node": room.node,
        "name": room.name,
        "availability": room.availability,
        "mic": room.mic,
        "strip": [event_view(utterance) for utterance in room.recent],
    }
    if room.muted_by:
        view["muted_by"] = room.muted_by
    if room.recorded and not room.has_device:
        view["recorded_only"] = True
    if room.state is not None:
        view["agitated"] = room.state.agitated
        view["arousal"] = room.state.arousal
    if room.health is not None and room.health.certificate_expires is not None:
        view["certificate"] = round(parse_timestamp(room.health.certificate_expires, 0.0) * 1000)
    if last is not None:
        view["emotion"] = last.event.event_type
        view["confidence"] = last.event.confidence
        view["since"] = round(room.since * 1000)
        if view["emotion"] == UNCERTAIN:
            view["maybe"] = most_likely_label(last.event)
    elif room.state is not None:
        view["emotion"] = room.state.emotion
        view["confidence"] = room.state.confidence
        view["since"] = round(parse_timestamp(room.state.since, 0.0) * 1000)
    return view


def patch(registry: RoomRegistry, cursor: Cursor) -> View:
    """Return what changed since the cursor, and advance it. Empty if nothing changed."""
    view: View = {}
    if cursor.revision < registry.revision:
        rooms = [room_view(room) for room in registry.rooms_after(cursor.revision)]
        levels = {
            room.node: [round(room.level.dbfs, 1), room.level.speech]
            for room in registry.levels_after(cursor.revision)
            if room.level is not None
        }
        gone = registry.removed_after(cursor.revision)
        events = [event_view(utterance) for utterance in registry.events_after(cursor.number)]
        for key, value in (("rooms", rooms), ("levels", levels), ("gone", gone), ("events", events)):
            if value:
                view[key] = value
    cursor.revision = registry.revision
    cursor.number = registry.arrived
    return view
