"""What was recorded: utterances, sums of a period, and exports."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from dashboard.api.common import (
    Emotion,
    From,
    Node,
    Services,
    To,
    describe_period,
    far_future,
    parse_time,
    record_action,
    require,
    require_room,
    run_query,
)
from dashboard.auth.limits import EXPORT, client_network
from dashboard.auth.middleware import client_address, identity_of
from dashboard.db.history import zone_of
from dashboard.db.periods import EventFilter
from dashboard.db.tables import EMOTIONS

MAX_PAGE: Final = 1000
"""The most events of a page."""


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


class UtteranceOut(BaseModel):
    """One utterance as the pages show it."""

    id: str
    node: str
    at: int = Field(description="begin, milliseconds since 1970")
    emotion: Emotion
    confidence: float
    duration: int = Field(description="milliseconds")
    arousal: float | None = None
    maybe: Emotion | None = Field(default=None, description="the likeliest label of an uncertain one")


class BucketOut(BaseModel):
    """The utterances of one step of a period."""

    at: int = Field(description="begin, milliseconds since 1970")
    counts: list[int] = Field(description=f"by emotion: {', '.join(EMOTIONS)}")
    arousal: float | None = Field(description="mean, -1 to 1; null: not known")


class Usual(BaseModel):
    """What is usual in the room: means of the days with data in the four weeks before the period."""

    days: int
    per_day: float = Field(description="utterances")
    shares: list[float] = Field(description="of each emotion")


class PeriodOut(BaseModel):
    """A period of a room, on a linear time axis: steps without utterances are there, too."""

    begin: int = Field(description="milliseconds since 1970")
    end: int
    first: int | None = Field(description="the first quarter of an hour that was recorded; null: none")
    total: int = Field(description="number of utterances in the period")
    buckets: list[BucketOut]
    marks: list[tuple[int, int, int, int, int | None]] = Field(
        description="single utterances: begin, index of the emotion, confidence per mille, milliseconds, "
        "arousal per mille; the newest 4,000"
    )
    usual: Usual | None


class RoomDay(BaseModel):
    """The last hours of one room."""

    node: str
    buckets: list[BucketOut]


def _wanted(
    emotion: Annotated[list[Emotion] | None, Query(description="one or several; default: all")] = None,
    confidence: Annotated[float, Query(ge=0, le=1, description="at least")] = 0.0,
    arousal_from: Annotated[float | None, Query(ge=-1, le=1, description="at least")] = None,
    arousal_to: Annotated[float | None, Query(ge=-1, le=1, description="at most")] = None,
) -> EventFilter:
    return EventFilter(
        tuple(EMOTIONS.index(name) for name in emotion or ()),
        round(1000 * confidence),
        None if arousal_from is None else round(1000 * arousal_from),
        None if arousal_to is None else round(1000 * arousal_to),
    )


Wanted = Annotated[EventFilter, Depends(_wanted)]
Zone = Annotated[str, Query(max_length=64, description="time zone such as Europe/Madrid")]


def router(services: Services) -> APIRouter:
    """Return the routes about recorded utterances: pages, periods, exports."""
    routes = APIRouter(prefix="/api", tags=["records"])
    _add_event_routes(routes, services)
    _add_export_route(routes, services)
    _add_period_routes(routes, services)
    return routes


def _add_event_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/rooms/{node}/events")
    async def events(
        node: Node,
        wanted: Wanted,
        *,
        begin: From = None,
        to: To = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> Events:
        """Return utterances of a period, oldest first, page by page."""
        await require_room(services, node)
        place = None if after is None else _parse_cursor(after)
        span = parse_time(begin, 0), parse_time(to, far_future())

        def query() -> tuple[list[dict[str, Any]], tuple[int, bytes] | None]:
            return require(services.records).page(node, *span, place, limit, wanted=wanted)

        rows, more = await run_query(query)
        return Events(
            events=[Event(**row) for row in rows], next=None if more is None else _format_cursor(more)
        )

    @routes.get("/rooms/{node}/utterances")
    async def utterances(
        node: Node,
        wanted: Wanted,
        *,
        begin: Annotated[int, Query(alias="from", ge=0, description="milliseconds since 1970")] = 0,
        before: Annotated[
            int | None, Query(ge=0, description="milliseconds since 1970; default: now")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> list[UtteranceOut]:
        """Return the newest utterances of a period, newest first, as the pages show them."""
        await require_room(services, node)
        until = round(far_future() * 1000) if before is None else before

        def query() -> list[dict[str, Any]]:
            return require(services.history).utterances(node, until, limit, from_ms=begin, wanted=wanted)

        return [UtteranceOut(**row) for row in await run_query(query)]


def _add_export_route(routes: APIRouter, services: Services) -> None:
    @routes.get("/rooms/{node}/events.csv", response_class=StreamingResponse)
    async def export(
        request: Request, node: Node, wanted: Wanted, begin: From = None, to: To = None
    ) -> StreamingResponse:
        """Return all utterances of a period as CSV with a header line."""
        await require_room(services, node)
        if not services.limiter.allows(
            EXPORT, "export", identity_of(request).name, client_network(client_address(request))
        ):
            raise HTTPException(429, "too many exports in a minute; try again later")
        span = parse_time(begin, 0), parse_time(to, far_future())
        lines = require(services.records).csv(node, *span, wanted=wanted)
        first = await run_query(next, lines)
        await record_action(services, request, "export", node, describe_period(begin, to))
        return StreamingResponse(
            _with_error_line(first, lines),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{node}.csv"',
                "Cache-Control": "no-store",
            },
        )


def _add_period_routes(routes: APIRouter, services: Services) -> None:
    @routes.get("/rooms/{node}/period")
    async def period(
        node: Node,
        wanted: Wanted,
        *,
        begin: Annotated[str, Query(alias="from", description="ISO 8601, inclusive")],
        to: Annotated[str, Query(description="ISO 8601, exclusive")],
        step: Literal["quarter", "hour", "day"] = "hour",
        zone: Zone = "UTC",
        marks: Annotated[bool, Query(description="with single utterances")] = False,
    ) -> PeriodOut:
        """Return the sums of a period, one for each step: quarters of an hour, hours or days of a time zone."""
        await require_room(services, node)
        where = zone_of(zone)
        span = _moment(parse_time(begin, 0), where), _moment(parse_time(to, far_future()), where)
        store = require(services.periods)

        def query() -> dict[str, Any]:
            return store.period(node, span, step, wanted=wanted, marks=marks)

        try:
            return PeriodOut(**await run_query(query))
        except ValueError as error:
            raise HTTPException(422, f"`from` and `to`: {error}") from None

    @routes.get("/today")
    async def today(zone: Zone = "UTC") -> list[RoomDay]:
        """Return quarters of an hour since midnight of a time zone, for each room that has utterances."""
        begin = datetime.now(zone_of(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        end = begin + timedelta(days=1)
        found = await run_query(require(services.periods).all_rooms, begin, end, "quarter")
        return [
            RoomDay(node=node, buckets=[BucketOut(**one) for one in each]) for node, each in found.items()
        ]


def _moment(ms: int, zone: Any) -> datetime:
    return datetime.fromtimestamp(ms / 1000, zone)


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
