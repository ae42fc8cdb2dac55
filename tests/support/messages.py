"""Messages as devices send them, built from the protocol's own structs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import count
from typing import cast

from ulid import ULID

from edge.protocol import (
    BLOCK_MS,
    LABELS,
    UNCERTAIN,
    EarHealth,
    EarInfo,
    Event,
    EventType,
    Health,
    ModelInfo,
    Probabilities,
    UtteranceReport,
    UtteranceValues,
)
from tests.conftest import ROOT

BOOT = "7f3a9c01"
MODEL = "base-1.2.0"
INFO = ModelInfo(
    model=MODEL,
    model_sha256="0" * 64,
    feature_spec_sha256="1" * 64,
    runtime="litert 2.3.0",
    vad="silero",
    ear_version="0.1.0",
    config_sha256="2" * 64,
)
SHIPPED = json.loads(next((ROOT / "models").glob("base-*/manifest.json")).read_text())
"""The manifest of a model that every device has."""
EAR_INFO = EarInfo(
    model_sha256=SHIPPED["files"]["model.tflite"],
    runtime="litert",
    vad="silero",
    ear_version="0.1.0",
    config_sha256="2" * 64,
)
_numbers = count(1)


def timestamp(seconds: float) -> str:
    """A Unix time as the messages write it: UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(
    emotion: str, at: float, confidence: float = 0.8, likely: str = "happy", **changes: object
) -> Event:
    """An event with this emotion at this Unix time. `likely` is the most probable label of an uncertain one."""
    top = likely if emotion == UNCERTAIN else emotion
    rest = round((1 - confidence) / 6, 3)
    fields: dict[str, object] = {
        "id": str(ULID()),
        "boot": BOOT,
        "seq": changes["seq"] if "seq" in changes else next(_numbers),
        "event_type": emotion,
        "confidence": confidence,
        "probabilities": Probabilities(**{label: confidence if label == top else rest for label in LABELS}),
        "started_at": timestamp(at),
        "duration_ms": 2310,
        "snr_db": 18.2,
        "level_dbfs": -23.1,
        "model": MODEL,
        "latency_ms": 34,
    }
    return Event(**(fields | changes))  # type: ignore[arg-type]


def event(seq: int, boot: str = BOOT, label: str = "happy") -> Event:
    """Event number `seq` of an ear that was started once, of what is said now."""
    return event_of(label, time.time(), confidence=0.7, seq=seq, boot=boot)


def healthy(**changes: object) -> Health:
    """The health message of a device without faults. `lost`: events that its ear dropped; the rest: its fields."""
    ear = EarHealth(
        frames=1,
        overruns=0,
        utterances=1,
        inference_p50_ms=9,
        inference_p95_ms=12,
        rss_mb=70,
        dropped=changes.pop("lost", 0),  # type: ignore[arg-type]
    )
    fields: dict[str, object] = {
        "clock": "synced",
        "uptime_s": 100,
        "spool": 0,
        "drops": 0,
        "reconnects": 0,
        "rejected": 0,
        "link_rss_mb": 20,
        "ear": ear,
    }
    return Health(**fields | changes)  # type: ignore[arg-type]


def values(label: str = "happy", **changes: object) -> UtteranceValues:
    """What an ear says of an utterance that has just ended."""
    likely = "happy" if label == UNCERTAIN else label
    fields: dict[str, object] = {
        "event_type": cast(EventType, label),
        "shares": tuple(70 if name == likely else 5 for name in LABELS),
        "arousal": 4,
        "started": int((time.monotonic() - 2.4) * 1000 / BLOCK_MS),
        "length": 72,
        "snr_db": 18,
        "level_dbfs": -23,
        "latency": 3,
    }
    return UtteranceValues(**(fields | changes))  # type: ignore[arg-type]


def utterance(n: int, label: str = "happy", **changes: object) -> UtteranceReport:
    """Utterance number `n` of a session."""
    return UtteranceReport(n, values(label, **changes))
