"""Rooms: their state, recorded events, commands, and erasure."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from dashboard.api.common import (
    Node,
    Services,
    confirm_password,
    far_future,
    parse_time,
    record_action,
    require,
    run_query,
)
from dashboard.auth import passwords
from dashboard.auth.limits import EXPORT, client_network
from dashboard.auth.middleware import client_address, identity_of
from dashboard.db import retention
from dashboard.db.history import zone_of
from dashboard.live.registry import Room
from dashboard.live.views import room_view
from edge.util import timestamps

From = Annotated[str | None, Query(alias="from", description="ISO 8601, inclusive; default: the first event")]
To = Annotated[str | None, Query(description="ISO 8601, exclusive; default: now")]


class Verb(StrEnum):
    """A command to a device; the device itself responds."""

    MUTE = "mute"
    UNMUTE = "unmute"
    IDENTIFY = "identify"
    RESTART = "restart"
    MODEL_CHECK = "model_check"
    MODEL_ROLLBACK = "model_rollback"


class Event(BaseModel):
    """One utterance, with the fields of docs/mqtt.md."""

    id: str
    node: str
    started_at: str
    event_type: str
    confidence: float
    probabilities: dict[str, float]
    arousal: float | None = Field(
        description="-1 (calmer than is usual in the room) to 1 (more agitated); null: not known"
    )
    duration_ms: int
    snr_db: float
    level_dbfs: float
    model: str
    latency_ms: int
    boot: str
    seq: int


class Events(BaseModel):
    """A page of events, oldest first."""

    events: list[Event]
    next: str | None = Field(description="the value of `after` for the next page; null: this is the last one")


class RoomOut(BaseModel):
    """A room: its current state and what was recorded."""

    node: str
    name: str
    online: bool | None = Field(description="null: unknown")
    mic: str | None
    version: str | None
    model: str | None
    emotion: str | None = Field(description="of the newest utterance")
    first_seen: str | None
    last_utterance: str | None
    utterances: int


class Confirmation(BaseModel):
    """The user's password once more, for what cannot be undone."""

    password: str = Field(default="", max_length=passwords.MAX_LENGTH, description="empty without a login")


class ActionResult(BaseModel):
    """The result of a command or an erasure."""

    ok: bool
    error: str = ""
    events: int = Field(default=0, description="how many events were erased")


MAX_PAGE: Final = 1000
"""The most events of a page."""


def router(services: Services) -> APIRouter:
    """Return the routes about single rooms: state, events, charts, commands and erasure."""
    routes = APIRouter(prefix="/api/rooms", tags=["rooms"])
    _add_room_routes(routes, services)
    _add_event_routes(routes, services)
    _add_export_route(routes, services)
    _add_write_routes(routes, services)
    return routes


def _add_room_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("")
    async def all_rooms() -> list[RoomOut]:
        """All rooms that are there or were ever recorded."""
        recorded = await run_query(services.records.rooms) if services.records is not None else {}
        # What was erased may be kept as a bare name for a day.
        nodes = sorted(
            {n for n, was in recorded.items() if was["utterances"]} | services.feed.registry.rooms.keys()
        )
        return [_room(node, services.feed.registry.rooms.get(node), recorded.get(node)) for node in nodes]

    @routes.get("/{node}")
    async def one(node: Node) -> RoomOut:
        """One room."""
        recorded = await run_query(services.records.rooms) if services.records is not None else {}
        live = services.feed.registry.rooms.get(node)
        if live is None and node not in recorded:
            raise HTTPException(404, f"there is no room {node}")
        return _room(node, live, recorded.get(node))


def _add_event_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/{node}/events")
    async def events(
        node: Node,
        begin: From = None,
        to: To = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Events:
        """Return utterances of a period, oldest first, page by page."""
        place = None if after is None else _parse_cursor(after)
        span = parse_time(begin, 0), parse_time(to, far_future())
        rows, more = await run_query(require(services.records).page, node, *span, place, limit)
        return Events(
            events=[Event(**row) for row in rows], next=None if more is None else _format_cursor(more)
        )

    @routes.get("/{node}/history")
    async def history(node: Node, zone: str = "UTC") -> dict[str, Any]:
        """Return sums for charts in a time zone: hours of today, of the week, and days of the month."""
        return await run_query(require(services.history).charts, node, zone_of(zone[:64]), datetime.now(UTC))

    @routes.get("/{node}/utterances")
    async def utterances(
        node: Node,
        before: Annotated[
            int | None, Query(ge=0, description="milliseconds since 1970; default: now")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> list[dict[str, Any]]:
        """Return the newest utterances before a time, newest first, as the pages show them."""
        until = round(far_future() * 1000) if before is None else before
        return await run_query(require(services.history).utterances, node, until, limit)


def _add_export_route(routes: APIRouter, services: Services) -> None:
    @routes.get("/{node}/events.csv", response_class=StreamingResponse)
    async def export(request: Request, node: Node, begin: From = None, to: To = None) -> StreamingResponse:
        """Return all utterances of a period as CSV with a header line."""
        if not services.limiter.allows(
            EXPORT, "export", identity_of(request).name, client_network(client_address(request))
        ):
            raise HTTPException(429, "too many exports in a minute; try again later")
        lines = require(services.records).csv(node, parse_time(begin, 0), parse_time(to, far_future()))
        first = await run_query(next, lines)
        await record_action(services, request, "export", node, _describe_period(begin, to))
        return StreamingResponse(
            _with_error_line(first, lines),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{node}.csv"',
                "Cache-Control": "no-store",
            },
        )


def _add_write_routes(routes: APIRouter, services: Services) -> None:
    @routes.delete("/{node}")
    async def erase(
        request: Request,
        node: Node,
        begin: From = None,
        to: To = None,
        confirmation: Confirmation = Confirmation(),  # noqa: B008 a model without fields that change
    ) -> ActionResult:
        """Erase a room, or with `from` or `to` only that period. This cannot be undone.

        With a login it needs the user's password, also with an API token.
        """
        span = parse_time(begin, 0), parse_time(to, far_future())
        if span[0] >= span[1]:
            raise HTTPException(422, "`from` must be before `to`")
        await confirm_password(services, request, confirmation.password, "erase", node)
        engine = require(services.engine)
        if begin is None and to is None:
            found = await run_query(retention.erase_room, engine, node)
            done = ActionResult(ok=found, error="" if found else "nothing is recorded of this room")
        else:
            done = ActionResult(ok=True, events=await run_query(retention.erase_period, engine, node, *span))
        left, _ = await run_query(require(services.records).page, node, *span, None, 1)
        if left:
            done = ActionResult(ok=False, error="not in force: events of this time are still recorded")
        services.feed.erase(node, span[0] / 1000, span[1] / 1000)
        result = "not in force" if left else _describe_period(begin, to)
        await record_action(services, request, "erase", node, result)
        return done

    @routes.post("/{node}/commands/{verb}")
    async def command(request: Request, node: Node, verb: Verb) -> ActionResult:
        """Send a command to a device and return its response. 504: none within five seconds."""
        try:
            answer = await services.feed.command(node, verb.value)
        except ConnectionError as error:
            await record_action(services, request, verb.value, node, str(error))
            raise HTTPException(503, str(error)) from None
        if answer is None:
            message = "the device does not answer: is it online, and may this dashboard send commands to it?"
            await record_action(services, request, verb.value, node, "no answer")
            raise HTTPException(504, message)
        await record_action(services, request, verb.value, node, "ok" if answer.ok else answer.error)
        return ActionResult(ok=answer.ok, error=answer.error)


def _room(node: str, live: Room | None, recorded: dict[str, Any] | None) -> RoomOut:
    was = recorded or {}
    view = room_view(live) if live is not None else {}
    info = live.info if live is not None else None
    return RoomOut(
        node=node,
        name=(live.name if info is not None and live is not None else was.get("name")) or node,
        online={"online": True, "offline": False}.get(view.get("availability", "")),
        mic=view.get("mic") or None,
        version=info.version if info is not None else None,
        model=info.ear.model if info is not None and info.ear is not None else None,
        emotion=view.get("emotion"),
        first_seen=was.get("first_seen"),
        last_utterance=was.get("last_heard"),
        utterances=was.get("utterances", 0),
    )


def _with_error_line(first: str, rest: Iterator[str]) -> Iterator[str]:
    """Append a line to the file if the database fails in the middle of an export."""
    yield first
    try:
        yield from rest
    except SQLAlchemyError:
        yield "# incomplete: the database does not answer\r\n"


def _format_cursor(place: tuple[int, bytes]) -> str:
    return base64.urlsafe_b64encode(struct.pack(">q16s", *place)).decode()


def _parse_cursor(cursor: str) -> tuple[int, bytes]:
    try:
        at, number = struct.unpack(">q16s", base64.urlsafe_b64decode(cursor))
    except (binascii.Error, struct.error, ValueError):
        raise HTTPException(422, "`after` must be the `next` of the previous page") from None
    return at, number


def _describe_period(begin: str | None, to: str | None) -> str:
    if begin is None and to is None:
        return "everything"
    now = timestamps.now()
    return re.sub(r"[^0-9A-Za-z:+. -]", "", f"{begin or 'the beginning'} to {to or now}")[:100]
