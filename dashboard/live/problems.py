"""The state of each device and its problems, for the page *Fleet* and `/api/fleet`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dashboard.live.registry import SILENT_S, Room, RoomRegistry
from dashboard.values import natural_key, parse_timestamp

DAY_S: Final = 86_400
CERTIFICATE_DAYS: Final = 30
HOT_C: Final = 80.0
"""A Raspberry Pi throttles its clock from this temperature."""
LONG_QUEUE: Final = 20

Row = dict[str, Any]
Problem = dict[str, Any]


def device_rows(registry: RoomRegistry, lost: dict[str, int], now: float, started: float) -> list[Row]:
    """Return one row for each device, those with the worst problems first.

    `lost`: events lost in the last week, by node; `now` and `started` (of the hub) in seconds since 1970. A problem is
    `{"code", "level", "value"}` with the level `bad`, `warn` or `note`; its text is in the messages of the front end.
    """
    rooms = [room for room in registry.rooms.values() if room.has_device]
    version = _newest(room.info.version for room in rooms if room.info is not None)
    model = _most_common(
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
        key=lambda row: (
            min((order[p["level"]] for p in row["problems"]), default=3),
            natural_key(row["name"]),
        ),
    )


def needs_help(room: Room, now: float) -> bool:
    """Return whether a device has a problem of the level `bad`; `now` in seconds since 1970."""
    if not room.has_device:
        return False
    # `room.silent` says what the time since its last message would.
    found = _problems(room, 0, now, now, None, None)
    return room.silent or any(problem["level"] == "bad" for problem in found)


def urgency(room: Room, *, in_need: bool) -> int:
    """Return 0 for a room with an alert, an episode or a problem, 1 for any other, 2 for one without a device.

    `in_need`: what `needs_help` says.
    """
    if room.alerted or (room.state is not None and room.state.agitated) or in_need:
        return 0
    return 1 if room.has_device else 2


def _row(room: Room, problems: list[Problem]) -> Row:
    info, health = room.info, room.health
    ear = info.ear if info is not None else None
    expires = health.certificate_expires if health is not None else None
    return {
        "node": room.node,
        "name": room.name,
        "availability": room.availability,
        "condition": _condition(room, problems),
        "mic": room.mic,
        "version": info.version if info is not None else None,
        "model": ear.model if ear is not None else None,
        "runtime": ear.runtime if ear is not None else None,
        "certificate": None if expires is None else round(parse_timestamp(expires, 0.0) * 1000),
        "seen": round(room.seen * 1000) or None,
        "temperature": health.temperature_c if health is not None else None,
        "queue": health.spool if health is not None else None,
        "uptime": health.uptime_s if health is not None else None,
        "latency": health.ear.inference_p95_ms if health is not None and health.ear is not None else None,
        "problems": problems,
    }


def _condition(room: Room, problems: list[Problem]) -> str:
    """Return `bad`, `warn`, `ok`, or `unknown` for a device of which nothing has been heard."""
    levels = {problem["level"] for problem in problems}
    for level in ("bad", "warn"):
        if level in levels:
            return level
    # A device that is online and whose microphone is open or muted on purpose is as it should be.
    return "ok" if room.availability == "online" and room.mic in ("ok", "muted") else "unknown"


def _problems(room: Room, lost: int, now: float, started: float, *usual: str | None) -> Iterator[Problem]:
    newest_version, common_model = usual
    if room.availability == "":
        yield _problem("unknown", "note")
    elif room.availability == "offline":
        yield _problem("offline", "bad")
    elif room.availability == "online" and now - max(room.seen, started) > SILENT_S:
        yield _problem("silent", "bad")
    if room.mic == "lost" and room.health is not None and room.health.ear is None:
        # The link reports the microphone as lost when the ear, which has it, is gone.
        yield _problem("ear_lost", "bad")
    elif room.mic == "lost":
        yield _problem("mic_lost", "bad")
    elif room.mic == "muted":
        yield _problem("muted", "note", ",".join(room.muted_by) or None)
    yield from _health_problems(room, now)
    if lost:
        yield _problem("lost_events", "warn", lost)
    info = room.info
    if info is not None and newest_version is not None and _key(info.version) < _key(newest_version):
        yield _problem("old_version", "note", newest_version)
    if info is not None and info.ear is not None and common_model not in (None, info.ear.model):
        yield _problem("other_model", "note", common_model)


def _health_problems(room: Room, now: float) -> Iterator[Problem]:
    health = room.health
    if health is None:
        return
    if health.certificate_expires is not None:
        days = int((parse_timestamp(health.certificate_expires, now) - now) // DAY_S)
        if days < CERTIFICATE_DAYS:
            yield _problem("certificate", "bad" if days < 7 else "warn", max(days, 0))
    if health.temperature_c is not None and health.temperature_c >= HOT_C:
        yield _problem("hot", "warn", round(health.temperature_c))
    if health.spool >= LONG_QUEUE:
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


def _most_common(models: Iterable[str]) -> str | None:
    most = Counter(models).most_common(1)
    return most[0][0] if most else None
