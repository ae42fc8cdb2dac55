"""JSON views of the live state, as the pages receive them. Times are milliseconds since 1970.

Kept small: an open page receives up to four patches a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET

from dashboard.live.problems import needs_help, urgency
from dashboard.live.registry import Room, RoomRegistry, Utterance
from dashboard.live.window import Window
from dashboard.values import parse_timestamp
from edge.protocol import LABELS, UNCERTAIN, Event

View = dict[str, Any]


@dataclass
class Cursor:
    """The revision and the event number up to which a page has been updated."""

    revision: int = -1
    number: int = 0
    nodes: frozenset[str] = frozenset()
    """The rooms that the page has been sent."""
    totals: dict[str, Any] = field(default_factory=dict)


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
    if room.alerted:
        view["alerted"] = True
    if room.silent:
        view["silent"] = True
    if urgency(room, in_need=needs_help(room, time.time())) == 0:
        view["attention"] = True
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
    elif room.state is not None and room.state.confidence:
        # Without any confidence nothing has been heard: that is not the same as not being sure.
        view["emotion"] = room.state.emotion
        view["confidence"] = room.state.confidence
        view["since"] = round(parse_timestamp(room.state.since, 0.0) * 1000)
    return view


def patch(registry: RoomRegistry, cursor: Cursor, window: Window) -> View:
    """Return what changed since the cursor, and advance it. Empty if nothing changed.

    Rooms outside of the window are left out, and are gone for the page when they were in it.
    """
    if (
        cursor.revision == registry.revision
        and cursor.nodes == window.nodes
        and cursor.totals == window.totals
    ):
        return {}
    shown = [registry.rooms[node] for node in window.nodes]
    rooms = [room for room in shown if room.revision > cursor.revision or room.node not in cursor.nodes]
    levels = {
        room.node: [round(room.level.dbfs, 1), room.level.speech]
        for room in shown
        if room.level is not None and (room.level_revision > cursor.revision or room.node not in cursor.nodes)
    }
    events = [
        _named(event_view(utterance), registry, window) for utterance in registry.events_after(cursor.number)
    ]
    parts: tuple[tuple[str, Any], ...] = (
        ("rooms", [room_view(room) for room in rooms]),
        ("levels", levels),
        ("gone", sorted(cursor.nodes - window.nodes)),
        ("events", events),
        ("totals", window.totals if window.totals != cursor.totals else None),
    )
    cursor.revision, cursor.number = registry.revision, registry.arrived
    cursor.nodes, cursor.totals = window.nodes, window.totals
    return {key: value for key, value in parts if value}


def _named(view: View, registry: RoomRegistry, window: Window) -> View:
    """Add the name of a room that the page does not have."""
    room = None if view["node"] in window.nodes else registry.rooms.get(view["node"])
    return view if room is None else view | {"name": room.name}
