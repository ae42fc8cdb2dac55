"""Alert rules and their evaluation over the recorded events: one query for each window length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, case, delete, func, select

from dashboard.db.tables import EMOTIONS, alerts, events, rooms, rules
from edge.util.timestamps import from_unix

HYSTERESIS: Final = 100
"""Per mille below the limit at which an alert ends; at the limit itself it would flap with each utterance."""
MAX_RULES: Final = 100

Row = dict[str, Any]


@dataclass(frozen=True)
class AlertChange:
    """An alert that began or ended."""

    alert: int
    rule: Row
    node: str
    room: str
    on: bool
    share: float
    since_ms: int

    def message(self) -> Row:
        """Return the message for MQTT and the webhook."""
        return {
            "v": 1,
            "alert": self.alert,
            "rule": self.rule["id"],
            "name": self.rule["name"],
            "node": self.node,
            "room": self.room or self.node,
            "emotion": EMOTIONS[self.rule["emotion"]],
            "minutes": self.rule["minutes"],
            "limit": self.rule["share"] / 1000,
            "share": self.share,
            "state": "on" if self.on else "off",
            "since": from_unix(self.since_ms / 1000),
        }


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

    def add(self, row: Row) -> int | None:
        """Store a rule and return its id; None if there are already `MAX_RULES`."""
        with self._engine.begin() as connection:
            if (connection.execute(select(func.count()).select_from(rules)).scalar() or 0) >= MAX_RULES:
                return None
            return connection.execute(rules.insert().values(**row).returning(rules.c.id)).scalar()

    def remove(self, number: int) -> bool:
        """Delete a rule and its alerts; return whether there was one."""
        with self._engine.begin() as connection:
            connection.execute(delete(alerts).where(alerts.c.rule_id == number))
            return connection.execute(delete(rules).where(rules.c.id == number)).rowcount == 1

    def recent_alerts(self, limit: int) -> list[Row]:
        """Return the newest alerts, those that are still on first."""
        statement = (
            select(alerts, rules.c.name, rules.c.emotion, rooms.c.node, rooms.c.name.label("room"))
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

    def evaluate(self, now_ms: int) -> list[AlertChange]:
        """Begin and end alerts according to the recorded events; return what changed."""
        with self._engine.begin() as connection:
            current = [dict(row) for row in connection.execute(select(rules)).mappings()]
            if not current:
                return []
            known_rooms = connection.execute(select(rooms)).all()
            on = {
                (row.rule_id, row.room_id): row
                for row in connection.execute(select(alerts).where(alerts.c.until.is_(None)))
            }
            counts = {
                minutes: _counts_by_room(connection, now_ms - 60_000 * minutes)
                for minutes in {rule["minutes"] for rule in current}
            }
            changes = (
                _apply(
                    connection,
                    rule,
                    room,
                    counts=counts[rule["minutes"]].get(room.id, {}),
                    on=on,
                    now_ms=now_ms,
                )
                for rule in current
                for room in known_rooms
                if rule["node"] in ("", room.node)
            )
            return [change for change in changes if change is not None]


def _apply(
    connection: Connection, rule: Row, room: Any, *, counts: dict[int, int], on: dict[Any, Any], now_ms: int
) -> AlertChange | None:
    """Begin or end the alert of a rule in a room. `counts`: utterances in the window, by emotion."""
    total = sum(counts.values())
    share = 1000 * counts.get(rule["emotion"], 0) / total if total else 0.0
    alert = on.get((rule["id"], room.id))
    if alert is None and total >= rule["least"] and share > rule["share"]:
        since = now_ms
        row = {"rule_id": rule["id"], "room_id": room.id, "since": now_ms, "share": round(share)}
        number = connection.execute(alerts.insert().values(**row).returning(alerts.c.id)).scalar_one()
    elif alert is not None and share < rule["share"] - HYSTERESIS:
        since, number = alert.since, alert.id
        connection.execute(alerts.update().where(alerts.c.id == number).values(until=now_ms))
    else:
        return None
    return AlertChange(number, rule, room.node, room.name, alert is None, round(share / 1000, 3), since)


def _counts_by_room(connection: Connection, since_ms: int) -> dict[int, dict[int, int]]:
    statement = (
        select(events.c.room_id, events.c.emotion, func.count())
        .where(events.c.at >= since_ms, events.c.room_id.in_(select(rooms.c.id)))
        .group_by(events.c.room_id, events.c.emotion)
    )
    counts: dict[int, dict[int, int]] = {}
    for room, emotion, count in connection.execute(statement):
        counts.setdefault(room, {})[emotion] = count
    return counts
