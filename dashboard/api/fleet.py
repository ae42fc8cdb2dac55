"""Devices, alert rules and alerts."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field, field_validator

from dashboard.api.common import Services, record_action, require, run_query
from dashboard.db.clock import clock_of
from dashboard.db.tables import EMOTIONS
from dashboard.live.problems import device_rows
from dashboard.values import now_ms, printable
from edge.util.guarded_clock import JUMP_S
from edge.util.version import VERSION

WEEK_MS: Final = 7 * 86_400_000

RuleId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Emotion = Literal["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain"]


class NewRule(BaseModel):
    """An alert rule such as "angry for 10 minutes above 60 %"."""

    name: str = Field(min_length=1, max_length=64)
    node: str = Field(default="", pattern=r"^[a-z0-9_-]{0,64}$", description="empty: each room separately")
    emotion: Emotion
    minutes: int = Field(ge=1, le=1440)
    share: float = Field(ge=0.01, le=0.99, description="share of the utterances in that time")
    least: int = Field(
        default=5, ge=1, le=1000, description="the fewest utterances for which the rule is evaluated"
    )
    webhook: str = Field(
        default="", max_length=500, description="http(s) address that gets a POST; empty: MQTT only"
    )

    @field_validator("webhook")
    @classmethod
    def _address(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (url.scheme not in ("http", "https") or not url.hostname or not value.isprintable()):
            raise ValueError("write http://host/path or https://host/path")
        return value


class Rule(NewRule):
    """A stored rule."""

    id: int


class Alert(BaseModel):
    """An alert: a rule that was met in a room."""

    id: int
    rule: int
    name: str
    node: str
    room: str
    emotion: str
    share: float = Field(description="when the alert began")
    since: int = Field(description="milliseconds since 1970")
    until: int | None = Field(description="null: still on")


class Fleet(BaseModel):
    """All devices, those that require help first, and how well the hub was reached."""

    version: str
    broker: str
    now: int
    clock_ahead: int = Field(
        description="seconds by which the hub's clock jumped ahead of what is known; 0: it did not. "
        "Nothing is deleted, expired or signed by such a clock"
    )
    reachable: dict[str, Any]
    devices: list[dict[str, Any]]


def router(services: Services) -> APIRouter:
    """Return the routes about all devices together: their problems, alert rules and alerts."""
    routes = APIRouter(prefix="/api", tags=["fleet"])
    _add_device_routes(routes, services)
    _add_rule_routes(routes, services)
    _add_alert_routes(routes, services)
    return routes


def _add_device_routes(routes: APIRouter, services: Services) -> None:
    started = time.time()

    @routes.get("/fleet")
    async def devices() -> Fleet:
        """Return version, model, certificate, temperature, queue and problems of each device."""
        now = time.time()
        lost = (
            {}
            if services.records is None
            else await run_query(services.records.lost_events, round(now * 1000) - WEEK_MS)
        )
        reach = {"minutes": 0, "share": None}
        if services.reachability is not None:
            reach = await run_query(services.reachability.share, now)
        return Fleet(
            version=VERSION,
            broker=services.feed.broker.connection.state,
            now=round(now * 1000),
            clock_ahead=await _clock_ahead(services),
            reachable=reach,
            devices=device_rows(services.feed.registry, lost, now, started),
        )


def _add_rule_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/rules")
    async def rules() -> list[Rule]:
        """Return all alert rules."""
        return [_rule(row) for row in await run_query(require(services.rules).list_rules)]

    @routes.post("/rules", status_code=201)
    async def add(request: Request, rule: NewRule) -> Rule:
        """Create a rule."""
        row = rule.model_dump() | {
            "name": printable(rule.name) or rule.emotion,
            "emotion": EMOTIONS.index(rule.emotion),
            "share": round(rule.share * 1000),
            "created": now_ms(),
        }
        number = await run_query(require(services.rules).add, row)
        if number is None:
            raise HTTPException(409, "there are too many rules; remove one first")
        await record_action(
            services,
            request,
            "rule added",
            row["name"],
            f"{rule.emotion} {rule.share:.0%} {rule.minutes} min",
        )
        return _rule(row | {"id": number})

    @routes.delete("/rules/{number}", status_code=204)
    async def remove(request: Request, number: RuleId) -> None:
        """Delete a rule and its alerts."""
        if not await run_query(require(services.rules).remove, number):
            raise HTTPException(404, f"there is no rule {number}")
        await record_action(services, request, "rule removed", str(number), "ok")


def _add_alert_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/alerts")
    async def alerts(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Alert]:
        """Return the newest alerts, those that are still on first."""
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
            for row in await run_query(require(services.rules).recent_alerts, limit)
        ]


def _rule(row: dict[str, Any]) -> Rule:
    return Rule(**row | {"emotion": EMOTIONS[row["emotion"]], "share": row["share"] / 1000})


async def _clock_ahead(services: Services) -> int:
    if services.engine is None:
        return 0
    clock = await run_query(clock_of, services.engine)
    ahead = clock.ahead_s()
    return round(ahead) if ahead > JUMP_S else 0
