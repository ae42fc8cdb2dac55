"""Rules, and which of them hold now: one query for each length of time, over what the recorder wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, case, delete, func, select

from dashboard.db.tables import (
    EMOTIONS,
    alerts,
    events,
    rooms,
    rules,
)
from edge.util.timestamps import from_unix

HYSTERESIS: Final = 100
"""Per mille below the limit at which an alert ends: at the limit itself it would begin and end with each sentence."""
MOST_RULES: Final = 100

Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """An alert that began or ended."""

    alert: int
    rule: Row
    node: str
    room: str
    on: bool
    share: float
    since_ms: int

    def message(self) -> Row:
        """What MQTT and the webhook are told."""
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


class Rules:
    """Safe to use from several threads. Errors of the database pass through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[Row]:
        """The rules, the oldest first."""
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(select(rules).order_by(rules.c.id))]

    def add(self, row: Row) -> int | None:
        """A new rule: its number; None where there are too many."""
        with self._engine.begin() as connection:
            if (connection.execute(select(func.count()).select_from(rules)).scalar() or 0) >= MOST_RULES:
                return None
            return connection.execute(rules.insert().values(**row).returning(rules.c.id)).scalar()

    def remove(self, number: int) -> bool:
        """Takes a rule and its alerts away; says whether there was one."""
        with self._engine.begin() as connection:
            connection.execute(delete(alerts).where(alerts.c.rule_id == number))
            return connection.execute(delete(rules).where(rules.c.id == number)).rowcount == 1

    def newest(self, limit: int) -> list[Row]:
        """The newest alerts, those that last first."""
        statement = (
            select(alerts, rules.c.name, rules.c.emotion, rooms.c.node, rooms.c.name.label("room"))
            .join(rules, rules.c.id == alerts.c.rule_id)
            .join(rooms, rooms.c.id == alerts.c.room_id)
            .order_by(case((alerts.c.until.is_(None), 0), else_=1), alerts.c.since.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(statement)]

    def check(self, now_ms: int) -> list[Change]:
        """Begins and ends alerts by what was heard; returns what changed."""
        changes: list[Change] = []
        with self._engine.begin() as connection:
            standing = connection.execute(select(rules)).mappings().all()
            if not standing:
                return []
            names = {row.id: row for row in connection.execute(select(rooms))}
            open_ones = {
                (row.rule_id, row.room_id): row
                for row in connection.execute(select(alerts).where(alerts.c.until.is_(None)))
            }
            heard = {
                minutes: self._heard(connection.execute(self._counts(now_ms - 60_000 * minutes)).all())
                for minutes in {rule["minutes"] for rule in standing}
            }
            for rule in standing:
                for room, name in names.items():
                    if rule["node"] not in ("", name.node):
                        continue
                    counts = heard[rule["minutes"]].get(room, {})
                    total, theirs = sum(counts.values()), counts.get(rule["emotion"], 0)
                    share = 1000 * theirs / total if total else 0.0
                    was = open_ones.get((rule["id"], room))
                    if was is None and total >= rule["least"] and share > rule["share"]:
                        since = now_ms
                        values = {
                            "rule_id": rule["id"],
                            "room_id": room,
                            "since": now_ms,
                            "share": round(share),
                        }
                        number = connection.execute(
                            alerts.insert().values(**values).returning(alerts.c.id)
                        ).scalar_one()
                    elif was is not None and share < rule["share"] - HYSTERESIS:
                        since, number = was.since, was.id
                        connection.execute(alerts.update().where(alerts.c.id == number).values(until=now_ms))
                    else:
                        continue
                    told = round(share / 1000, 3)
                    changes.append(Change(number, dict(rule), name.node, name.name, was is None, told, since))
        return changes

    def _counts(self, since_ms: int) -> Any:
        return (
            select(events.c.room_id, events.c.emotion, func.count())
            .where(events.c.at >= since_ms, events.c.room_id.in_(select(rooms.c.id)))
            .group_by(events.c.room_id, events.c.emotion)
        )

    def _heard(self, rows: Sequence[Any]) -> dict[int, dict[int, int]]:
        heard: dict[int, dict[int, int]] = {}
        for room, emotion, count in rows:
            heard.setdefault(room, {})[emotion] = count
        return heard
