"""Alert rules and their evaluation over the recorded events: one query for each window length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, case, delete, func, select

from dashboard.db.tables import EMOTIONS, alerts, deliveries, events, rooms, rules
from dashboard.values import now_ms
from edge.util.timestamps import from_unix

HYSTERESIS: Final = 100
"""Per mille below the limit at which an alert ends; at the limit itself it would flap with each utterance."""
HYSTERESIS_DB: Final = 3
MAX_RULES: Final = 100
MAX_DELIVERIES: Final = 50
"""So many deliveries of a rule are kept."""

Row = dict[str, Any]


@dataclass(frozen=True)
class AlertChange:
    """An alert that began or ended."""

    alert: int
    rule: Row
    node: str
    room: str
    on: bool
    value: float
    """What was measured: a share from 0 to 1, dBFS, or minutes, by the kind of the rule."""
    since_ms: int

    def message(self) -> Row:
        """Return the message for MQTT and the other channels."""
        return message_of(self.rule) | {
            "alert": self.alert,
            "node": self.node,
            "room": self.room or self.node,
            "share": self.value if self.rule["kind"] == "emotion" else None,
            "value": self.value,
            "state": "on" if self.on else "off",
            "since": from_unix(self.since_ms / 1000),
        }


def message_of(rule: Row) -> Row:
    """Return what a message says about its rule; `state` is `test` for one that was asked for."""
    is_share = rule["kind"] == "emotion"
    return {
        "v": 1,
        "alert": 0,
        "rule": rule["id"],
        "name": rule["name"],
        "kind": rule["kind"],
        "node": rule["node"],
        "room": rule["node"],
        "emotion": EMOTIONS[rule["emotion"]] if is_share else None,
        "minutes": rule["minutes"],
        "limit": rule["share"] / 1000 if is_share else rule["level"],
        "share": None,
        "value": 0.0,
        "state": "test",
        "since": from_unix(now_ms() / 1000),
    }


@dataclass(frozen=True)
class _Window:
    """The utterances of a room in the minutes of a rule."""

    counts: dict[int, int]
    """By emotion."""
    level: float = -120.0
    """Mean, dBFS."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())


_SILENT: Final = _Window({})


class RuleStore:
    """The alert rules and their alerts in the database.

    Thread-safe. Database errors (`SQLAlchemyError`) are not caught.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_rules(self) -> list[Row]:
        """Return all rules, oldest first."""
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(select(rules).order_by(rules.c.id))]

    def find(self, number: int) -> Row | None:
        """Return a rule; None if there is none of that id."""
        with self._engine.connect() as connection:
            row = connection.execute(select(rules).where(rules.c.id == number)).first()
        return None if row is None else dict(row._mapping)

    def add(self, row: Row) -> int | None:
        """Store a rule and return its id; None if there are already `MAX_RULES`."""
        with self._engine.begin() as connection:
            if (connection.execute(select(func.count()).select_from(rules)).scalar() or 0) >= MAX_RULES:
                return None
            return connection.execute(rules.insert().values(**row).returning(rules.c.id)).scalar()

    def change(self, number: int, row: Row) -> bool:
        """Change a rule; return whether there is one. Its alerts that are on end without a message."""
        with self._engine.begin() as connection:
            still_on = (alerts.c.rule_id == number) & alerts.c.until.is_(None)
            connection.execute(alerts.update().where(still_on).values(until=now_ms()))
            return connection.execute(rules.update().where(rules.c.id == number).values(**row)).rowcount == 1

    def record_delivery(self, number: int, channel: str, error: str) -> None:
        """Store how a message of a rule was delivered; the oldest are dropped."""
        own = deliveries.c.rule_id == number
        newest = select(deliveries.c.id).where(own).order_by(deliveries.c.id.desc()).limit(MAX_DELIVERIES)
        with self._engine.begin() as connection:
            if connection.execute(select(rules.c.id).where(rules.c.id == number)).first() is None:
                return
            row = {"rule_id": number, "at": now_ms(), "channel": channel, "error": error[:200]}
            connection.execute(deliveries.insert().values(**row))
            connection.execute(delete(deliveries).where(own, deliveries.c.id.not_in(newest)))

    def last_deliveries(self) -> dict[int, list[Row]]:
        """Return the last delivery of each channel of each rule."""
        last = select(func.max(deliveries.c.id)).group_by(deliveries.c.rule_id, deliveries.c.channel)
        statement = select(deliveries).where(deliveries.c.id.in_(last)).order_by(deliveries.c.channel)
        found: dict[int, list[Row]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(statement).mappings():
                found.setdefault(row["rule_id"], []).append(dict(row))
        return found

    def remove(self, number: int) -> bool:
        """Delete a rule and its alerts; return whether there was one."""
        with self._engine.begin() as connection:
            connection.execute(delete(alerts).where(alerts.c.rule_id == number))
            return connection.execute(delete(rules).where(rules.c.id == number)).rowcount == 1

    def recent_alerts(self, limit: int) -> list[Row]:
        """Return the newest alerts, those that are still on first."""
        statement = (
            select(
                alerts, rules.c.name, rules.c.kind, rules.c.emotion, rooms.c.node, rooms.c.name.label("room")
            )
            .join(rules, rules.c.id == alerts.c.rule_id)
            .join(rooms, rooms.c.id == alerts.c.room_id)
            .order_by(case((alerts.c.until.is_(None), 0), else_=1), alerts.c.since.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def count_active(self) -> int:
        """Return the number of alerts that are on."""
        statement = select(func.count()).select_from(alerts).where(alerts.c.until.is_(None))
        with self._engine.connect() as connection:
            return connection.execute(statement).scalar() or 0

    def alerted_rooms(self) -> frozenset[str]:
        """Return the node ids of the rooms in which an alert is on."""
        statement = select(rooms.c.node).join(alerts, alerts.c.room_id == rooms.c.id)
        with self._engine.connect() as connection:
            return frozenset(connection.execute(statement.where(alerts.c.until.is_(None))).scalars())

    def evaluate(self, now_ms: int, agitated: Mapping[str, float] | None = None) -> list[AlertChange]:
        """Begin and end alerts according to the recorded events; return what changed.

        `agitated`: by node, since when its device reports an episode (seconds since 1970).
        """
        with self._engine.begin() as connection:
            # Of several dashboards on one PostgreSQL only one at a time decides: an alert begins once.
            active = select(rules).where(rules.c.paused == 0).order_by(rules.c.id).with_for_update()
            current = [dict(row) for row in connection.execute(active).mappings()]
            if not current:
                return []
            known_rooms = connection.execute(select(rooms)).all()
            on = {
                (row.rule_id, row.room_id): row
                for row in connection.execute(select(alerts).where(alerts.c.until.is_(None)))
            }
            windows = {
                minutes: _windows_by_room(connection, now_ms - 60_000 * minutes)
                for minutes in {rule["minutes"] for rule in current}
            }
            changes: list[AlertChange] = []
            for rule in current:
                for room in (room for room in known_rooms if rule["node"] in ("", room.node)):
                    window = windows[rule["minutes"]].get(room.id, _SILENT)
                    since = (agitated or {}).get(room.node)
                    agitated_min = 0.0 if since is None else max(0.0, now_ms / 60_000 - since / 60)
                    begins, ends, stored = _measure(rule, window, agitated_min)
                    alert = on.get((rule["id"], room.id))
                    if alert is None and begins:
                        changes.append(_begin(connection, rule, room, stored, now_ms))
                    elif alert is not None and ends:
                        ended = alerts.update().where(alerts.c.id == alert.id)
                        connection.execute(ended.values(until=now_ms))
                        value = value_of(rule["kind"], stored)
                        changes.append(
                            AlertChange(alert.id, rule, room.node, room.name, False, value, alert.since)
                        )
            return changes


def value_of(kind: str, stored: int) -> float:
    """Return the measurement stored for an alert in the unit of its rule's `kind`.

    `emotion`: stored in per mille, returned as a share from 0 to 1. `loud` (dBFS) and `episode`
    (minutes) are stored as they are.
    """
    return stored / 1000 if kind == "emotion" else float(stored)


def _measure(rule: Row, window: _Window, agitated_min: float) -> tuple[bool, bool, int]:
    """Return whether an alert begins, whether one that is on ends, and the measurement to store."""
    enough = window.total >= rule["least"]
    match rule["kind"]:
        case "loud":
            level = round(window.level)
            return enough and level > rule["level"], level < rule["level"] - HYSTERESIS_DB, level
        case "episode":
            return agitated_min >= rule["minutes"], agitated_min == 0, round(agitated_min)
    share = 1000 * window.counts.get(rule["emotion"], 0) / window.total if window.total else 0.0
    return enough and share > rule["share"], share < rule["share"] - HYSTERESIS, round(share)


def _begin(connection: Connection, rule: Row, room: Any, stored: int, now_ms: int) -> AlertChange:
    row = {"rule_id": rule["id"], "room_id": room.id, "since": now_ms, "share": stored}
    number = connection.execute(alerts.insert().values(**row).returning(alerts.c.id)).scalar_one()
    return AlertChange(number, rule, room.node, room.name, True, value_of(rule["kind"], stored), now_ms)


def _windows_by_room(connection: Connection, since_ms: int) -> dict[int, _Window]:
    statement = (
        select(events.c.room_id, events.c.emotion, func.count(), func.sum(events.c.level_dbfs))
        .where(events.c.at >= since_ms, events.c.room_id.in_(select(rooms.c.id)))
        .group_by(events.c.room_id, events.c.emotion)
    )
    counts: dict[int, dict[int, int]] = {}
    levels: dict[int, float] = {}
    for room, emotion, count, level in connection.execute(statement):
        counts.setdefault(room, {})[emotion] = count
        levels[room] = levels.get(room, 0.0) + level
    return {room: _Window(found, levels[room] / sum(found.values())) for room, found in counts.items()}
