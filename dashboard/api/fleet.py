"""Devices, and how well the hub was reached."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dashboard.api.common import Services, run_query
from dashboard.db.clock import clock_of
from dashboard.live.problems import device_rows
from edge.util.guarded_clock import JUMP_S
from edge.util.version import VERSION
from provisioning.hub import denials

OWN_CLIENTS: Final = 1
"""Connections of this dashboard to the broker."""
DEVICES: Final = 200
"""Devices in one answer, unless more are asked for."""
WEEK_MS: Final = 7 * 86_400_000


class Problem(BaseModel):
    """Something that is wrong with a device, or worth a note."""

    code: str
    level: Literal["bad", "warn", "note"]
    value: int | float | str | None


class Device(BaseModel):
    """One device."""

    node: str
    name: str
    availability: str = Field(description="online, offline or empty (unknown)")
    condition: Literal["ok", "warn", "bad", "unknown"]
    mic: str
    version: str | None
    model: str | None
    runtime: str | None
    certificate: int | None = Field(description="its end, milliseconds since 1970")
    seen: int | None = Field(description="last message, milliseconds since 1970")
    temperature: float | None
    queue: int | None
    uptime: int | None = Field(description="seconds")
    latency: float | None = Field(description="95th percentile of inference, milliseconds")
    problems: list[Problem]


class Reach(BaseModel):
    """How well the hub was reached: each minute it requests its page and sends itself a message."""

    minutes: int
    share: float | None = Field(description="null: not known yet")


class Refused(BaseModel):
    """What the hub refused of one sender since the dashboard started."""

    sender: str
    count: int
    reason: str = Field(description="of the last message")
    at: int = Field(description="of the last message, milliseconds since 1970")


class Denied(BaseModel):
    """What the broker itself refused one client, of one kind."""

    client: str = Field(description="its id; empty: refused before it had one")
    kind: Literal["publish", "subscribe", "login", "no_certificate", "certificate"]
    count: int
    topic: str = Field(description="of the last one; empty: it has none")
    at: int = Field(description="of the last one, milliseconds since 1970")


class BrokerOut(BaseModel):
    """The broker, as far as it says something about itself (`$SYS`)."""

    address: str
    tls: bool
    state: str = Field(description="connecting, connected or lost")
    detail: str
    code: str = Field(description="`detail` in one word for programs, such as `connection_refused`; or empty")
    version: str
    figures: dict[str, float] = Field(
        description="clients, received_per_min, sent_per_min, dropped, retained, stored, uptime_s"
    )
    devices_online: int
    others: int | None = Field(
        description="connected clients that are neither devices nor these pages, such as the recorder and Home "
        "Assistant; null: not known"
    )
    refused: list[Refused] = Field(description="by sender, the one refused last first")
    denied: list[Denied] | None = Field(
        description="what the broker itself refused since its start, the last one first; null: not known, since the "
        "broker is not this hub's own"
    )
    ignored: int = Field(description="messages that broke the contract since the dashboard started")


class Fleet(BaseModel):
    """All devices, those that require help first, the broker, and how well the hub was reached."""

    version: str
    now: int
    clock_ahead: int = Field(
        description="seconds by which the hub's clock jumped ahead of what is known; 0: it did not. "
        "Nothing is deleted, expired or signed by such a clock"
    )
    broker: BrokerOut
    reachable: Reach
    total: int = Field(description="of all devices")
    faulty: int = Field(
        description="of all devices: those that need attention, with a problem of the level bad"
    )
    warned: int = Field(description="of all devices: those with a warning and nothing worse")
    unknown: int = Field(description="of all devices: those of which nothing has been heard")
    matching: int = Field(description="devices that `search` finds; all without it")
    devices: list[Device] = Field(description="of those that match, `limit` from place `first`")


def router(services: Services) -> APIRouter:
    """Return the routes about all devices together: their problems, alert rules and alerts."""
    routes = APIRouter(prefix="/api", tags=["fleet"])
    started = time.time()

    @routes.get("/fleet")
    async def devices(
        first: Annotated[int, Query(ge=0, description="how many devices to skip")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000, description="how many devices at most")] = DEVICES,
        search: Annotated[str, Query(max_length=64, description="text in a name or node id")] = "",
    ) -> Fleet:
        """Return version, model, certificate, temperature, queue and problems of each device."""
        now = time.time()
        lost = (
            {}
            if services.records is None
            else await run_query(services.records.lost_events, round(now * 1000) - WEEK_MS)
        )
        reach: dict[str, Any] = {"minutes": 0, "share": None}
        if services.reachability is not None:
            reach = await run_query(services.reachability.share, now)
        rows = device_rows(services.feed.registry, lost, now, started)
        text = search.strip().casefold()
        matching = [row for row in rows if text in row["name"].casefold() or text in row["node"]]
        conditions = Counter(row["condition"] for row in rows)
        return Fleet(
            version=VERSION,
            now=round(now * 1000),
            clock_ahead=await _clock_ahead(services),
            broker=_broker(
                services, sum(row["availability"] == "online" for row in rows), await _denied(services)
            ),
            reachable=Reach(**reach),
            total=len(rows),
            faulty=conditions["bad"],
            warned=conditions["warn"],
            unknown=conditions["unknown"],
            matching=len(matching),
            devices=[Device(**row) for row in matching[first : first + limit]],
        )

    return routes


async def _denied(services: Services) -> list[Denied] | None:
    if services.broker_denials is None:
        return None
    report = await asyncio.to_thread(denials.read, services.broker_denials)
    if report is None:
        return None
    return [
        Denied(client=one.client, kind=one.kind, count=one.count, topic=one.topic, at=round(one.at * 1000))
        for one in report.denials
    ]


def _broker(services: Services, devices_online: int, denied: list[Denied] | None) -> BrokerOut:
    broker = services.feed.broker
    connection = services.feed.connection
    figures = broker.figures.values()
    clients = figures.get("clients")
    return BrokerOut(
        address=str(broker.address),
        tls=broker.address.tls,
        state=connection.state,
        detail=connection.detail,
        code=connection.code,
        version=broker.figures.version,
        figures=figures,
        devices_online=devices_online,
        # The broker counts now and then: a device may be online that it has not counted yet.
        others=None if clients is None else max(0, round(clients) - devices_online - OWN_CLIENTS),
        refused=[
            Refused(sender=one.sender, count=one.count, reason=one.reason, at=round(one.at * 1000))
            for one in broker.refusals.latest()
        ],
        denied=denied,
        ignored=services.feed.rejected,
    )


async def _clock_ahead(services: Services) -> int:
    if services.engine is None:
        return 0
    clock = await run_query(clock_of, services.engine)
    ahead = clock.ahead_s()
    return round(ahead) if ahead > JUMP_S else 0
