"""Alert rules, their channels, and alerts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field, field_validator

from dashboard.alerts.addresses import PrivateAddressError, RefusedAddressError
from dashboard.alerts.push_subscription import PushSubscription
from dashboard.alerts.rules import value_of
from dashboard.api.common import Emotion, Services, record_action, require, run_query
from dashboard.auth.middleware import identity_of
from dashboard.db.tables import EMOTIONS
from dashboard.values import now_ms, printable
from edge.util.text.patterns import pattern

RuleId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Kind = Literal["emotion", "loud", "episode"]
NODE_OR_NONE: Final = pattern(r"^[a-z0-9_-]{0,64}$", "at most 64 of a-z, 0-9, `_` and `-`").pattern
RESOLVE_TIMEOUT_S: Final = 5.0
NOT_PUBLIC: Final = "webhook: not a public address; start `./run hub` or `roomtone dashboard` with `--notify"


class NewRule(BaseModel):
    """An alert rule such as "angry for 10 minutes above 60 %"."""

    name: str = Field(min_length=1, max_length=64)
    node: str = Field(default="", pattern=NODE_OR_NONE, description="empty: each room separately")
    kind: Kind = Field(
        default="emotion",
        description="emotion: a share of the utterances; loud: their mean level; episode: the device reports agitation",
    )
    emotion: Emotion = Field(default="angry", description="for the kind emotion")
    minutes: int = Field(ge=1, le=1440)
    share: float = Field(default=0.6, ge=0.01, le=0.99, description="share of the utterances in that time")
    level: int = Field(default=-20, ge=-90, le=0, description="dBFS, for the kind loud")
    least: int = Field(
        default=5, ge=1, le=1000, description="the fewest utterances for which the rule is evaluated"
    )
    webhook: str = Field(default="", max_length=500, description="http(s) address that gets a POST")
    email: str = Field(default="", max_length=200, description="address that gets an e-mail")
    push: bool = Field(default=False, description="notify the browsers that asked for it")
    paused: bool = False

    @field_validator("webhook")
    @classmethod
    def _address(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (url.scheme not in ("http", "https") or not url.hostname or not value.isprintable()):
            raise ValueError("write http://host/path or https://host/path")
        # Raises `ValueError` itself.
        _ = url.port
        return value

    @field_validator("email")
    @classmethod
    def _recipient(cls, value: str) -> str:
        name, _, host = value.rpartition("@")
        if value and (not name or not host or not value.isprintable() or any(c in value for c in " ,;<>")):
            raise ValueError("write one address such as name@example.org")
        return value


class Delivery(BaseModel):
    """The last message on one channel."""

    channel: str = Field(description="mqtt, webhook, email or push")
    at: int = Field(description="milliseconds since 1970")
    error: str = Field(description="why it failed; empty: it did not")


class Rule(NewRule):
    """A stored rule."""

    id: int
    room: str = Field(description="the name of the room; empty: each room separately")
    deliveries: list[Delivery] = Field(default_factory=list)


class Alert(BaseModel):
    """An alert: a rule that was met in a room."""

    id: int
    rule: int
    name: str
    node: str
    room: str
    kind: str
    emotion: str = Field(description="for the kind emotion")
    value: float = Field(description="when the alert began: a share, dBFS or minutes, by the kind")
    since: int = Field(description="milliseconds since 1970")
    until: int | None = Field(description="null: still on")


class ChannelInfo(BaseModel):
    """What notifications can be sent with."""

    email: bool = Field(description="whether an SMTP server is configured")
    push_key: str = Field(description="the hub's public key for Web Push (base64url)")


class PushKeys(BaseModel):
    """The keys of a browser's subscription (base64url)."""

    p256dh: str = Field(max_length=100)
    auth: str = Field(max_length=40)


class NewPush(BaseModel):
    """A browser's subscription, as `PushSubscription.toJSON()` gives it."""

    endpoint: str = Field(max_length=500)
    keys: PushKeys


class TestResult(BaseModel):
    """What became of a test message: why each channel failed, or an empty text."""

    channels: dict[str, str]


def router(services: Services) -> APIRouter:
    """Return the routes about alerts and alert rules."""
    routes = APIRouter(prefix="/api", tags=["alerts"])
    _add_rule_routes(routes, services)
    _add_delivery_routes(routes, services)
    return routes


def _add_rule_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/rules")
    async def rules() -> list[Rule]:
        """Return all alert rules."""
        store = require(services.rules)
        last = await run_query(store.last_deliveries)
        found = await run_query(store.list_rules)
        return [_rule(row, _room_name(services, row["node"]), last.get(row["id"], [])) for row in found]

    @routes.post("/rules", status_code=201)
    async def add(request: Request, rule: NewRule) -> Rule:
        """Create a rule. 422 if its webhook is in a network that the hub does not send to."""
        await _check_webhook(services, rule.webhook)
        row = _row(rule) | {"created": now_ms()}
        number = await run_query(require(services.rules).add, row)
        if number is None:
            raise HTTPException(409, "there are too many rules; remove one first")
        await record_action(services, request, "rule added", row["name"], _describe(rule))
        return _rule(row | {"id": number}, _room_name(services, rule.node), [])

    @routes.put("/rules/{number}")
    async def change(request: Request, number: RuleId, rule: NewRule) -> Rule:
        """Replace a rule; an alert of it that is on ends. Another webhook is checked as that of a new rule is."""
        row = _row(rule)
        known = await run_query(require(services.rules).find, number)
        if known is not None and known["webhook"] != rule.webhook:
            await _check_webhook(services, rule.webhook)
        if not await run_query(require(services.rules).change, number, row):
            raise HTTPException(404, f"there is no rule {number}")
        await require(services.notifier).show_alerts()
        await record_action(services, request, "rule changed", row["name"], _describe(rule))
        return _rule(row | {"id": number}, _room_name(services, rule.node), [])

    @routes.delete("/rules/{number}", status_code=204)
    async def remove(request: Request, number: RuleId) -> None:
        """Delete a rule and its alerts."""
        if not await run_query(require(services.rules).remove, number):
            raise HTTPException(404, f"there is no rule {number}")
        await require(services.notifier).show_alerts()
        await record_action(services, request, "rule removed", str(number), "ok")

    @routes.post("/rules/{number}/test")
    async def test(request: Request, number: RuleId) -> TestResult:
        """Send a test message on all channels of a rule."""
        row = await run_query(require(services.rules).find, number)
        if row is None:
            raise HTTPException(404, f"there is no rule {number}")
        found = await require(services.notifier).test(row)
        await record_action(services, request, "rule tested", row["name"], "ok")
        return TestResult(channels=found)

    @routes.get("/alerts")
    async def alerts(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Alert]:
        """Return the newest alerts, those that are still on first."""
        return [_alert(row) for row in await run_query(require(services.rules).recent_alerts, limit)]


def _add_delivery_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/channels")
    async def channels() -> ChannelInfo:
        """Return what notifications can be sent with."""
        key = await run_query(require(services.push).key)
        return ChannelInfo(email=services.mail, push_key=key.public())

    @routes.post("/push", status_code=204)
    async def subscribe(request: Request, new: NewPush) -> None:
        """Notify this browser of alerts whose rule says so."""
        try:
            subscription = PushSubscription.parse(new.endpoint, new.keys.p256dh, new.keys.auth)
        except ValueError as error:
            raise HTTPException(422, f"not a push subscription: {error}") from None
        if not await run_query(require(services.push).add, identity_of(request).name, subscription):
            raise HTTPException(409, "too many browsers of this user are notified")
        await record_action(services, request, "push added", urlsplit(new.endpoint).hostname or "", "ok")

    @routes.delete("/push", status_code=204)
    async def unsubscribe(endpoint: Annotated[str, Query(max_length=500)]) -> None:
        """Notify a browser no longer; only the browser itself knows its endpoint."""
        await run_query(require(services.push).remove, endpoint)


async def _check_webhook(services: Services, address: str) -> None:
    """Raise `HTTPException` 422 for a webhook that would be refused at every alert.

    A name without an address is let through: it may have one later, and what is sent is checked again.
    """
    if not address:
        return
    url = urlsplit(address)
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            await services.allowed.resolve(
                url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
            )
    except PrivateAddressError as error:
        raise HTTPException(422, f"{NOT_PUBLIC} {error.address}`") from None
    except (RefusedAddressError, TimeoutError):
        return


def _row(rule: NewRule) -> dict[str, Any]:
    return rule.model_dump() | {
        "name": printable(rule.name) or rule.emotion,
        "emotion": EMOTIONS.index(rule.emotion),
        "share": round(rule.share * 1000),
        "push": int(rule.push),
        "paused": int(rule.paused),
    }


def _room_name(services: Services, node: str) -> str:
    room = services.feed.registry.rooms.get(node)
    return node if room is None else room.name


def _rule(row: dict[str, Any], room: str, deliveries: list[dict[str, Any]]) -> Rule:
    return Rule(
        **row
        | {
            "emotion": EMOTIONS[row["emotion"]],
            "share": row["share"] / 1000,
            "room": room,
            "deliveries": [Delivery(**one) for one in deliveries],
        }
    )


def _alert(row: dict[str, Any]) -> Alert:
    return Alert(
        id=row["id"],
        rule=row["rule_id"],
        name=row["name"],
        node=row["node"],
        room=row["room"] or row["node"],
        kind=row["kind"],
        emotion=EMOTIONS[row["emotion"]],
        value=value_of(row["kind"], row["share"]),
        since=row["since"],
        until=row["until"],
    )


def _describe(rule: NewRule) -> str:
    what = {
        "emotion": f"{rule.emotion} {rule.share:.0%}",
        "loud": f"above {rule.level} dBFS",
        "episode": "episode",
    }[rule.kind]
    return f"{what} {rule.minutes} min" + (", paused" if rule.paused else "")
