"""Conversions that several parts of the hub share: times of the protocol, names that people typed."""

from __future__ import annotations

import re
import time

from msgspec import UNSET

from edge.protocol import Event
from edge.util import timestamps


def now_ms() -> int:
    """Return the current time in milliseconds since 1970 (UTC)."""
    return round(time.time() * 1000)


def parse_timestamp(text: str, default: float) -> float:
    """Return a timestamp of the protocol as seconds since 1970; `default` for a date that does not exist."""
    try:
        return timestamps.parse(text).timestamp()
    except (ValueError, OverflowError):
        return default


def spoken_at(event: Event, received: float) -> float:
    """Return when the utterance began, for an event received at `received` (both in seconds since 1970).

    Never later than its arrival, because clocks of devices may run ahead. A device whose clock is not set marks its
    events: then the arrival and the duration are used instead.
    """
    if event.clock is not UNSET:
        return received - event.duration_ms / 1000
    return min(parse_timestamp(event.started_at, received), received)


def printable(text: str) -> str:
    """Remove control and direction characters, which could rearrange a page, and surrounding blanks."""
    return "".join(character for character in text if character.isprintable()).strip()


def natural_key(name: str) -> tuple[str | int, ...]:
    """Return the key by which names are ordered: "Room 2" before "Room 10", and case does not count."""
    # Texts and numbers take turns, beginning with a text: the same place holds the same type in every key.
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold()))
