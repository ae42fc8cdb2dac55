"""Messages of rooms, made for tests from the contract's own structs."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from ulid import ULID

from edge.protocol.messages import LABELS, UNCERTAIN, Event, Probabilities

_numbers = count(1)


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(
    emotion: str, at: float, confidence: float = 0.8, likely: str = "happy", **changes: object
) -> Event:
    top = likely if emotion == UNCERTAIN else emotion
    rest = round((1 - confidence) / 6, 3)
    fields: dict[str, object] = {
        "id": str(ULID()),
        "boot": "7f3a9c01",
        "seq": next(_numbers),
        "event_type": emotion,
        "confidence": confidence,
        "probabilities": Probabilities(**{label: confidence if label == top else rest for label in LABELS}),
        "started_at": timestamp(at),
        "duration_ms": 2310,
        "snr_db": 18.2,
        "level_dbfs": -23.1,
        "model": "base-1.2.0",
        "latency_ms": 34,
    }
    return Event(**(fields | changes))  # type: ignore[arg-type]
