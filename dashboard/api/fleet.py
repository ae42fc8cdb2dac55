"""The boxes, rules and alerts."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field, field_validator

from dashboard.api.common import Parts, ask, need, note
from dashboard.auth.accounts import now_ms
from dashboard.db.tables import EMOTIONS
from dashboard.live import fleet
from dashboard.live.rooms import clean
from edge.util.version import VERSION

WEEK_MS: Final = 7 * 86_400_000

Emotion = Literal["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain"]


class NewRule(BaseModel):
    """`angry for 10 minutes above 60 %`."""

    name: str = Field(min_length=1, max_length=64)
    node: str = Field(default="", pattern=r"^[a-z0-9_-]{0,64}$", description="empty: each room by itself")
    emotion: Emotion
    minutes: int = Field(ge=1, le=1440)
    share: float = Field(ge=0.01, le=0.99, description="of the utterances in that time")
    least: int = Field(default=5, ge=1, le=1000, description="so many utterances must have been heard")
    webhook: str = Field(
        default="", max_length=500, description="http(s) address that gets a POST; empty: MQTT only"
    )

    @field_validator("webhook")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable()):
            raise ValueError("write http://host/path or https://host/path")
        return value


class Rule(NewRule):
    """A rule with its number."""

    id: int


class Alert(BaseModel):
    """A rule that held in a room."""

    id: int
    rule: int
    name: str
    node: str
    room: str
    emotion: str
    share: float = Field(description="when it began")
    since: int = Field(description="milliseconds since 1970")
    until: int | None = Field(description="null: it lasts")


class Fleet(BaseModel):
    """All boxes, those that need help first, and how well the hub was reached."""

    version: str
    broker: str
    now: int
    reachable: dict[str, Any]
    devices: list[dict[str, Any]]


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api", tags=["fleet"])
    started = time.time()

    @routes.get("/fleet")
    async def boxes() -> Fleet:
        """Versions, models, certificates, temperature, queue of every box, and what is wrong."""
        now = time.time()
        lost = {} if parts.records is None else await ask(parts.records.lost, round(now * 1000) - WEEK_MS)
        reach = {"minutes": 0, "share": None}
        if parts.reachability is not None:
            reach = await ask(parts.reachability.share, now)
        return Fleet(
            version=VERSION,
            broker=parts.hub.broker.connection.state,
            now=round(now * 1000),
            reachable=reach,
            devices=fleet.devices(parts.hub.house, lost, now, started),
        )

    @routes.get("/rules")
    async def rules() -> list[Rule]:
        """The rules for alerts."""
        return [_rule(row) for row in await ask(need(parts.rules).all)]

    @routes.post("/rules", status_code=201)
    async def add(request: Request, rule: NewRule) -> Rule:
        """A new rule."""
        row = rule.model_dump() | {
            "name": clean(rule.name) or rule.emotion,
            "emotion": EMOTIONS.index(rule.emotion),
            "share": round(rule.share * 1000),
            "created": now_ms(),
        }
        number = await ask(need(parts.rules).add, row)
        if number is None:
            raise HTTPException(409, "there are too many rules; remove one first")
        await note(
            parts, request, "rule added", row["name"], f"{rule.emotion} {rule.share:.0%} {rule.minutes} min"
        )
        return _rule(row | {"id": number})

    @routes.delete("/rules/{number}", status_code=204)
    async def remove(request: Request, number: int) -> None:
        """Takes a rule away, and its alerts."""
        if not await ask(need(parts.rules).remove, number):
            raise HTTPException(404, f"there is no rule {number}")
        await note(parts, request, "rule removed", str(number), "ok")

    @routes.get("/alerts")
    async def alerts(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Alert]:
        """The newest alerts, those that last first."""
        return [
            Alert(
                id=row["id"],
                rule=row["rule_id"],
                name=row["name"],
                node=row["node"],
                room=row["room"] or row["node"],
                emotion=EMOTIONS[row["emotion"]],
                share=row["share"] / 1000,
                since=row["since"],
                until=row["until"],
            )
            for row in await ask(need(parts.rules).newest, limit)
        ]

    return routes


def _rule(row: dict[str, Any]) -> Rule:
    return Rule(**row | {"emotion": EMOTIONS[row["emotion"]], "share": row["share"] / 1000})
