"""Corrects what a clock has stamped that was wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
from msgspec import UNSET

from edge.link.delivery.entry import Entry
from edge.protocol import ContractError, decode_event, encode
from edge.util import timestamps


def shifted(old: Entry, seconds: float) -> Entry:
    """Return an entry with its time corrected by so many seconds, also in the payload where that is marked."""
    payload = old.payload
    try:
        event = decode_event(payload)
        if event.clock is not UNSET:
            stamp = timestamps.rfc3339(timestamps.parse(event.started_at) + timedelta(seconds=seconds))
            payload = encode(msgspec.structs.replace(event, started_at=stamp))
    except (ContractError, ValueError, OverflowError):
        pass
    return replace(old, at=old.at + seconds, payload=payload)


def repeated(old: Entry) -> Entry:
    """Return an entry with the mark that it is published again."""
    try:
        event = decode_event(old.payload)
    except ContractError:
        return old
    return replace(old, payload=encode(msgspec.structs.replace(event, repeated=True)))


def unmarked(old: Entry) -> Entry:
    """Return an entry without the mark that its time is not known."""
    try:
        event = decode_event(old.payload)
    except ContractError:
        return old
    if event.clock is UNSET:
        return old
    return replace(old, payload=encode(msgspec.structs.replace(event, clock=UNSET)))
