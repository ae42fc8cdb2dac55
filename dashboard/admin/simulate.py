"""Simulated events for the database, so that the pages can be seen with plausible data.

Each room has hours in which people are present, a distribution of emotions, emotions that last for minutes, and from
time to time an angry hour. Simulated events have the model `simulated-1`. The ids of their rooms begin with `sim-`, and
their names say that they are simulated: real rooms are often called the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from sqlalchemy import Engine
from ulid import ULID

from dashboard.recorder.writer import Received, Writer
from edge.protocol import LABELS, UNCERTAIN, Event, Probabilities
from edge.util.timestamps import from_unix

MODEL: Final = "simulated-1"
BATCH: Final = 2000
DAY_S: Final = 86_400

ROOM_NAMES: Final = (
    ("Kitchen", "home"),
    ("Living room", "home"),
    ("Study", "work"),
    ("Nursery", "home"),
    ("Workshop", "work"),
    ("Reception", "work"),
    ("Meeting room", "work"),
    ("Café", "home"),
    ("Library", "work"),
    ("Hall", "home"),
    ("Music room", "home"),
    ("Garden room", "home"),
)
# Utterances expected in each hour of the day, relative to the busiest hour.
ACTIVITY: Final = {
    "home": (
        0,
        0,
        0,
        0,
        0,
        0.05,
        0.4,
        0.8,
        0.5,
        0.3,
        0.3,
        0.4,
        0.8,
        0.5,
        0.3,
        0.3,
        0.4,
        0.6,
        0.9,
        1,
        0.9,
        0.6,
        0.3,
        0.1,
    ),
    "work": (
        0,
        0,
        0,
        0,
        0,
        0,
        0.05,
        0.2,
        0.6,
        1,
        0.9,
        0.8,
        0.5,
        0.7,
        0.9,
        0.8,
        0.6,
        0.4,
        0.1,
        0.05,
        0,
        0,
        0,
        0,
    ),
}
#         neutral happy sad angry fearful disgust surprised
EMOTION_MIXES: Final = (
    (0.62, 0.16, 0.06, 0.05, 0.03, 0.03, 0.05),
    (0.45, 0.32, 0.06, 0.04, 0.03, 0.02, 0.08),
    (0.66, 0.08, 0.10, 0.06, 0.05, 0.03, 0.02),
    (0.50, 0.20, 0.06, 0.12, 0.04, 0.04, 0.04),
)
PERSISTENCE: Final = 0.82
"""Probability that an utterance has the same emotion as the one before."""
AROUSAL: Final = (-0.04, 0.11, -0.09, 0.28, 0.18, 0.08, 0.2)
"""Mean arousal of each label, in relation to what is usual in the room."""
ANGRY_HOURS: Final = 0.04
"""Probability that an hour is mostly angry."""


@dataclass(frozen=True)
class SimulatedRoom:
    """A simulated room: its node id, its name, and how its people speak."""

    node: str
    name: str
    kind: str
    emotions: tuple[float, ...]
    """Probability of each label."""
    pace: float
    """Factor of the number of utterances."""


def fill(
    engine: Engine, rooms: list[SimulatedRoom], until: float, *, days: int, per_day: int, seed: int
) -> Iterator[tuple[SimulatedRoom, int]]:
    """Store simulated events up to a time (seconds since 1970); yield each room with its number of new events."""
    for number, room in enumerate(rooms):
        writer, new = Writer(engine), 0
        rng = np.random.default_rng([seed, number])
        utterances = iter(simulate(room, until, days, per_day, rng))
        while batch := list(itertools.islice(utterances, BATCH)):
            new += writer.write(batch)
        writer.set_room_name(room.node, room.name)
        yield room, new


def simulated_rooms(count: int, seed: int) -> list[SimulatedRoom]:
    """Return `count` different rooms; the same seed returns the same rooms."""
    rng = np.random.default_rng([seed, 1 << 32])
    rooms = []
    for number in range(count):
        name, kind = ROOM_NAMES[number % len(ROOM_NAMES)]
        again = number // len(ROOM_NAMES)
        label = f"{name} {again + 1}" if again else name
        node = "sim-" + label.lower().replace(" ", "-").replace("é", "e")
        rooms.append(
            SimulatedRoom(
                node,
                f"{label} (simulated)",
                kind,
                EMOTION_MIXES[int(rng.integers(len(EMOTION_MIXES)))],
                float(rng.uniform(0.6, 1.4)),
            )
        )
    return rooms


def simulate(
    room: SimulatedRoom, until: float, days: int, per_day: int, rng: np.random.Generator
) -> Iterator[Received]:
    """Yield the events of a room in the days before a time (seconds since 1970), oldest first."""
    hours = np.array(ACTIVITY[room.kind])
    emotion, seq = 0, 0
    boot = rng.bytes(4).hex()
    first = int(until // 3600) - 24 * days + 1
    for hour in range(first, first + 24 * days):
        at = datetime.fromtimestamp(hour * 3600, UTC)
        weekend = at.weekday() >= 5
        busy = hours[at.hour] * ((1.3 if weekend else 1) if room.kind == "home" else (0.06 if weekend else 1))
        count = int(rng.poisson(per_day * room.pace * busy / hours.sum()))
        angry_hour = rng.random() < ANGRY_HOURS
        mix = np.array(room.emotions)
        if angry_hour:
            mix = 0.35 * mix + 0.65 * np.eye(len(LABELS))[LABELS.index("angry")]
        for second in np.sort(rng.uniform(0, 3600, count)):
            if angry_hour or rng.random() > PERSISTENCE:
                emotion = int(rng.choice(len(LABELS), p=mix / mix.sum()))
            moment = hour * 3600 + float(second)
            if moment > until:
                return
            seq += 1
            yield Received(room.node, _event(moment, emotion, boot, seq, rng), round(moment * 1000) + 40)


def _event(at: float, emotion: int, boot: str, seq: int, rng: np.random.Generator) -> Event:
    top = float(np.clip(rng.beta(5, 2.2), 0.2, 0.99))
    rest = rng.dirichlet(np.full(len(LABELS) - 1, 0.6)) * (1 - top)
    shares = np.round(np.insert(rest, emotion, top), 3)
    likeliest = int(np.argmax(shares))
    confidence = float(shares[likeliest])
    arousal = float(np.clip(rng.normal(AROUSAL[emotion], 0.08), -1, 1))
    duration = int(np.clip(rng.lognormal(7.6, 0.55), 400, 15_000))
    number = ULID.from_bytes(round(at * 1000).to_bytes(6, "big") + rng.bytes(10))
    return Event(
        id=str(number),
        boot=boot,
        seq=seq,
        event_type=UNCERTAIN if confidence < 0.5 else LABELS[likeliest],
        confidence=confidence,
        probabilities=Probabilities(**dict(zip(LABELS, shares.tolist(), strict=True))),
        arousal=round(arousal, 3),
        started_at=from_unix(at),
        duration_ms=duration,
        snr_db=round(float(rng.normal(19, 5)), 1),
        level_dbfs=round(float(rng.normal(-27, 5)), 1),
        model=MODEL,
        latency_ms=int(rng.integers(25, 60)),
    )
