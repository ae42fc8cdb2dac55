"""Rooms: what they are, what was heard, commands to them, and erasing."""

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

from dashboard.api.common import Node, Parts, ask, end_of_time, moment, need, note
from dashboard.auth.accounts import now_ms
from dashboard.auth.limits import EXPORT, group
from dashboard.auth.middleware import address_of, identity_of
from dashboard.db.history import zone_of
from dashboard.live.rooms import Room
from dashboard.live.views import room_view
from dashboard.recorder import retention
from edge.util.timestamps import from_unix

From = Annotated[str | None, Query(alias="from", description="ISO 8601, included; default: the beginning")]
To = Annotated[str | None, Query(description="ISO 8601, not included; default: now")]


class Verb(StrEnum):
    """What a room can be told. Each is answered by the room itself."""

    MUTE = "mute"
    UNMUTE = "unmute"
    IDENTIFY = "identify"
    RESTART = "restart"
    MODEL_CHECK = "model_check"
    MODEL_ROLLBACK = "model_rollback"


class Event(BaseModel):
    """One utterance, as in docs/mqtt.md."""

    id: str
    node: str
    started_at: str
    event_type: str
    confidence: float
    probabilities: dict[str, float]
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
    next: str | None = Field(description="give it as `after` to get the page behind; null: there is none")


class RoomOut(BaseModel):
    """A room: what was recorded of it, and how it is now."""

    node: str
    name: str
    online: bool | None = Field(description="null: not known")
    mic: str | None
    version: str | None
    model: str | None
    emotion: str | None = Field(description="of the newest utterance")
    first_seen: str | None
    last_heard: str | None
    utterances: int


class Done(BaseModel):
    """What a command or an erasure did."""

    ok: bool
    error: str = ""
    events: int = Field(default=0, description="how many events were erased")


LONGEST: Final = 1000
"""Of a page of events."""


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/rooms", tags=["rooms"])
    _add_reading(routes, parts)
    _add_acting(routes, parts)
    return routes


def _add_reading(routes: APIRouter, parts: Parts) -> None:

    @routes.get("")
    async def all_rooms() -> list[RoomOut]:
        """All rooms that are there or were ever recorded."""
        recorded = await ask(parts.records.rooms) if parts.records is not None else {}
        # What was erased may be kept as a bare name for a day.
        nodes = sorted({n for n, was in recorded.items() if was["utterances"]} | parts.hub.house.rooms.keys())
        return [_room(node, parts.hub.house.rooms.get(node), recorded.get(node)) for node in nodes]

    @routes.get("/{node}")
    async def one(node: Node) -> RoomOut:
        """One room."""
        recorded = await ask(parts.records.rooms) if parts.records is not None else {}
        live = parts.hub.house.rooms.get(node)
        if live is None and node not in recorded:
            raise HTTPException(404, f"there is no room {node}")
        return _room(node, live, recorded.get(node))

    @routes.get("/{node}/events")
    async def events(
        node: Node,
        begin: From = None,
        to: To = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=LONGEST)] = 100,
    ) -> Events:
        """Utterances in a span of time, oldest first, page by page."""
        place = None if after is None else _place(after)
        span = moment(begin, 0), moment(to, end_of_time())
        rows, more = await ask(need(parts.records).page, node, *span, place, limit)
        return Events(events=[Event(**row) for row in rows], next=None if more is None else _cursor(more))

    @routes.get("/{node}/history")
    async def history(node: Node, zone: str = "UTC") -> dict[str, Any]:
        """Sums for the charts of a room: hours of today, the week, the days of the month, in a time zone."""
        return await ask(need(parts.history).room, node, zone_of(zone[:64]), datetime.now(UTC))

    @routes.get("/{node}/events.csv", response_class=StreamingResponse)
    async def export(request: Request, node: Node, begin: From = None, to: To = None) -> StreamingResponse:
        """All utterances in a span of time as CSV, with a line of column names."""
        if not parts.limiter.allows(EXPORT, "export", identity_of(request).name, group(address_of(request))):
            raise HTTPException(429, "too many exports in a minute; wait a little")
        table = need(parts.records).table(node, moment(begin, 0), moment(to, end_of_time()))
        first = await ask(next, table)
        await note(parts, request, "export", node, _span(begin, to))
        return StreamingResponse(
            _guarded(first, table),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{node}.csv"',
                "Cache-Control": "no-store",
            },
        )


def _add_acting(routes: APIRouter, parts: Parts) -> None:
    @routes.delete("/{node}")
    async def erase(request: Request, node: Node, begin: From = None, to: To = None) -> Done:
        """Erases a room, or with `from` or `to` what it said in that time. Nothing brings it back."""
        span = moment(begin, 0), moment(to, end_of_time())
        if span[0] >= span[1]:
            raise HTTPException(422, "`from` must be before `to`")
        engine = need(parts.engine)
        if begin is None and to is None:
            found = await ask(retention.erase, engine, node)
            done = Done(ok=found, error="" if found else "nothing was recorded of this room")
        else:
            done = Done(ok=True, events=await ask(retention.erase_period, engine, node, *span))
        parts.hub.forget(node, span[0] / 1000, span[1] / 1000)
        await note(parts, request, "erase", node, _span(begin, to))
        return done

    @routes.post("/{node}/commands/{verb}")
    async def command(request: Request, node: Node, verb: Verb) -> Done:
        """Sends a command to a room and gives its answer. 504: no answer came within five seconds."""
        try:
            answer = await parts.hub.command(node, verb.value)
        except ConnectionError as error:
            await note(parts, request, verb.value, node, str(error))
            raise HTTPException(503, str(error)) from None
        if answer is None:
            said = "the room does not answer: is it online, and may this dashboard command it?"
            await note(parts, request, verb.value, node, "no answer")
            raise HTTPException(504, said)
        await note(parts, request, verb.value, node, "ok" if answer.ok else answer.error)
        return Done(ok=answer.ok, error=answer.error)


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
        last_heard=was.get("last_heard"),
        utterances=was.get("utterances", 0),
    )


def _guarded(first: str, rest: Iterator[str]) -> Iterator[str]:
    """A database that goes away in the middle ends the file with a line that says so."""
    yield first
    try:
        yield from rest
    except SQLAlchemyError:
        yield "# incomplete: the database went away\r\n"


def _cursor(place: tuple[int, bytes]) -> str:
    return base64.urlsafe_b64encode(struct.pack(">q16s", *place)).decode()


def _place(cursor: str) -> tuple[int, bytes]:
    try:
        at, number = struct.unpack(">q16s", base64.urlsafe_b64decode(cursor))
    except (binascii.Error, struct.error, ValueError):
        raise HTTPException(422, "`after` is what `next` of the page before was") from None
    return at, number


def _span(begin: str | None, to: str | None) -> str:
    if begin is None and to is None:
        return "everything"
    now = from_unix(now_ms() / 1000)
    return re.sub(r"[^0-9A-Za-z:+. -]", "", f"{begin or 'the beginning'} to {to or now}")[:100]
