"""Rooms: their state, recorded events, commands, and erasure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from dashboard.api.common import (
    From,
    Node,
    Services,
    To,
    confirm_password,
    describe_period,
    parse_time,
    record_action,
    require,
    require_room,
    run_query,
)
from dashboard.auth import passwords
from dashboard.db import retention
from dashboard.live.registry import Room
from dashboard.live.views import room_view

MAX_ROOMS_OUT: Final = 1000
"""Rooms in one answer."""
END_S: Final = 2**53 / 1000
"""Later than any event, in seconds since 1970."""


class Verb(StrEnum):
    """A command to a device; the device itself responds."""

    MUTE = "mute"
    UNMUTE = "unmute"
    IDENTIFY = "identify"
    RESTART = "restart"
    MODEL_CHECK = "model_check"
    MODEL_ROLLBACK = "model_rollback"


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


def router(services: Services) -> APIRouter:
    """Return the routes about single rooms: state, events, charts, commands and erasure."""
    routes = APIRouter(prefix="/api/rooms", tags=["rooms"])
    _add_read_routes(routes, services)
    _add_write_routes(routes, services)
    return routes


def _add_read_routes(routes: APIRouter, services: Services) -> None:

    @routes.get("")
    async def all_rooms(
        after: Annotated[str, Query(max_length=64, description="rooms behind this node id")] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_ROOMS_OUT, description="how many at most")] = MAX_ROOMS_OUT,
        search: Annotated[str, Query(max_length=64, description="text in a name or node id")] = "",
    ) -> list[RoomOut]:
        """All rooms that are there or were ever recorded, by their node id.

        The next page begins behind the last node id of this one.
        """
        registry = services.feed.registry
        names = set(registry.rooms)
        if services.records is not None:
            # What was erased may be kept as a bare name for a day.
            names.update(await run_query(services.records.nodes))
        text = search.strip().casefold()

        def is_wanted(node: str) -> bool:
            room = registry.rooms.get(node)
            return node > after and (text in node or (room is not None and text in room.name.casefold()))

        nodes = sorted(filter(is_wanted, names))[:limit]
        recorded = await run_query(services.records.rooms, nodes) if services.records is not None else {}
        return [_room(node, registry.rooms.get(node), recorded.get(node)) for node in nodes]

    @routes.get("/{node}")
    async def one(node: Node) -> RoomOut:
        """One room."""
        recorded = await run_query(services.records.rooms, (node,)) if services.records is not None else {}
        live = services.feed.registry.rooms.get(node)
        if live is None and node not in recorded:
            raise HTTPException(404, f"there is no room {node}")
        return _room(node, live, recorded.get(node))


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
        await require_room(services, node)
        # Without an end it has none: a clock that is behind must not leave anything out.
        span = parse_time(begin, 0), parse_time(to, END_S)
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
        result = "not in force" if left else describe_period(begin, to)
        await record_action(services, request, "erase", node, result)
        return done

    @routes.post("/{node}/commands/{verb}")
    async def command(request: Request, node: Node, verb: Verb) -> ActionResult:
        """Send a command to a device and return its response. 504: none within five seconds."""
        await require_room(services, node)
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
        last_utterance=was.get("last_utterance"),
        utterances=was.get("utterances", 0),
    )
