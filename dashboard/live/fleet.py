"""What is known of every box, and what is wrong with it: for the page *Fleet* and `/api/fleet`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dashboard.live.rooms import House, Room, seconds

DAY_S: Final = 86_400
SILENT_S: Final = 190.0
"""Three messages of health have not come."""
CERTIFICATE_DAYS: Final = 30
HOT_C: Final = 80.0
"""A Raspberry Pi slows itself down from here on."""
WAITING: Final = 20

Row = dict[str, Any]
Problem = dict[str, Any]


def devices(house: House, lost: dict[str, int], now: float, started: float) -> list[Row]:
    """One row for each box, those that need help first. `lost`: events lost in the last week; times in seconds.

    A problem is `{"code", "level", "value"}` with the level `bad`, `warn` or `note`; its words are in `web/text.js`.
    """
    rooms = list(house.rooms.values())
    version = _newest(room.info.version for room in rooms if room.info is not None)
    model = _commonest(
        room.info.ear.model for room in rooms if room.info is not None and room.info.ear is not None
    )
    rows = [
        _row(room, list(_problems(room, lost.get(room.node, 0), now, started, version, model)))
        for room in rooms
    ]
    order = {"bad": 0, "warn": 1, "note": 2}
    for row in rows:
        row["problems"].sort(key=lambda problem: order[problem["level"]])
    return sorted(
        rows,
        key=lambda row: (min((order[p["level"]] for p in row["problems"]), default=3), row["name"]),
    )


def _row(room: Room, problems: list[Problem]) -> Row:
    info, health = room.info, room.health
    ear = info.ear if info is not None else None
    expires = health.certificate_expires if health is not None else None
    return {
        "node": room.node,
        "name": room.name,
        "availability": room.availability,
        "mic": room.mic,
        "version": info.version if info is not None else None,
        "model": ear.model if ear is not None else None,
        "runtime": ear.runtime if ear is not None else None,
        "certificate": None if expires is None else round(seconds(expires, 0.0) * 1000),
        "seen": round(room.seen * 1000) or None,
        "temperature": health.temperature_c if health is not None else None,
        "queue": health.spool if health is not None else None,
        "uptime": health.uptime_s if health is not None else None,
        "latency": health.ear.inference_p95_ms if health is not None and health.ear is not None else None,
        "problems": problems,
    }


def _problems(room: Room, lost: int, now: float, started: float, *usual: str | None) -> Iterator[Problem]:
    newest, commonest = usual
    if room.availability == "":
        yield _problem("unknown", "note")
    elif room.availability == "offline":
        yield _problem("offline", "bad")
    elif room.availability == "online" and now - max(room.seen, started) > SILENT_S:
        yield _problem("silent", "bad")
    if room.mic == "lost":
        yield _problem("mic_lost", "bad")
    elif room.mic == "muted":
        yield _problem("muted", "note")
    yield from _of_health(room, now)
    if lost:
        yield _problem("lost_events", "warn", lost)
    info = room.info
    if info is not None and newest is not None and _key(info.version) < _key(newest):
        yield _problem("old_version", "note", newest)
    if info is not None and info.ear is not None and commonest not in (None, info.ear.model):
        yield _problem("other_model", "note", commonest)


def _of_health(room: Room, now: float) -> Iterator[Problem]:
    health = room.health
    if health is None:
        return
    if health.certificate_expires is not None:
        days = int((seconds(health.certificate_expires, now) - now) // DAY_S)
        if days < CERTIFICATE_DAYS:
            yield _problem("certificate", "bad" if days < 7 else "warn", max(days, 0))
    if health.temperature_c is not None and health.temperature_c >= HOT_C:
        yield _problem("hot", "warn", round(health.temperature_c))
    if health.spool >= WAITING:
        yield _problem("queue", "warn", health.spool)
    if health.drops:
        yield _problem("drops", "warn", health.drops)
    if health.ear is not None and health.ear.dropped:
        yield _problem("ear_drops", "warn", health.ear.dropped)
    if health.clock == "unsynced":
        yield _problem("clock", "warn")


def _problem(code: str, level: str, value: object = None) -> Problem:
    return {"code": code, "level": level, "value": value}


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))


def _newest(versions: Iterable[str]) -> str | None:
    return max(versions, key=_key, default=None)


def _commonest(models: Iterable[str]) -> str | None:
    most = Counter(models).most_common(1)
    return most[0][0] if most else None
