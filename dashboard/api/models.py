"""Models: releases, their cards and pictures, and how far each has come."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dashboard.api.common import Parts, note
from dashboard.live.broker import ANNOUNCE
from dashboard.live.rooms import House, Room
from dashboard.releases import cards
from dashboard.releases.catalogue import MissingError, Model
from edge.protocol.messages import Announcement, encode
from edge.releases.metadata import Release
from edge.util.errors import UserError
from provisioning.publish import progress

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9.-]{0,100}$", description="As `/api/models` says it")]
Plot = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\.png$")]


class ModelOut(BaseModel):
    """A release, or (release 0) a bundle that came with the package."""

    name: str
    model: str = Field(description="such as base-1.1.0")
    release: int
    size: int = Field(description="bytes")
    plots: list[str]
    current: bool = Field(description="the newest release of its family and channel")
    runs: int = Field(description="boxes that run it now")
    channel: str = ""
    percent: int = 0
    nodes: list[str] = Field(default=[], description="empty: all boxes")
    forced: str = ""
    withdraws: str = ""
    runtimes: list[str] = []
    architectures: list[str] = []
    min_daemon: str = ""
    progress: dict[str, int] | None = Field(
        default=None, description="boxes that are meant, by what they make of it"
    )


class Box(BaseModel):
    """What one box runs, and what it makes of the newest release that is meant for it."""

    node: str
    name: str
    online: bool
    model: str
    release: int = Field(description="0: the model that came with the package")
    latest: str
    state: str
    percentage: int | None
    error: str
    refused: int
    updates: bool = Field(description="false: it takes no updates")


class Models(BaseModel):
    """All of it, the newest release first."""

    serves: bool = Field(description="whether this hub serves a repository")
    models: list[ModelOut]
    boxes: list[Box]


class Card(BaseModel):
    """A model card."""

    markdown: str
    html: str


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/models", tags=["models"])

    async def found(name: str) -> Model:
        try:
            return await asyncio.to_thread(parts.releases.find, name)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None

    @routes.get("")
    async def models() -> Models:
        """Releases and the bundles of the package, with the roll-out of each; and what every box runs."""

        def read() -> list[tuple[Model, list[str]]]:
            known = (*parts.releases.published(), *parts.releases.shipped())
            return [(model, model.plots()) for model in known]

        house = parts.hub.house
        seen: set[tuple[str, str]] = set()
        listed = [_model(model, plots, house, seen) for model, plots in await asyncio.to_thread(read)]
        boxes = sorted((_box(room) for room in house.rooms.values()), key=lambda box: (box.name, box.node))
        return Models(serves=parts.repository is not None, models=listed, boxes=boxes)

    @routes.get("/{name}/card")
    async def card(name: Name) -> Card:
        """The model card."""
        model = await found(name)
        try:
            text = await asyncio.to_thread(model.card)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None
        return Card(markdown=text, html=cards.html(text))

    @routes.get("/{name}/plots/{plot}", response_class=Response)
    async def plot(name: Name, plot: Plot) -> Response:
        """One picture of the card."""
        model = await found(name)
        try:
            content = await asyncio.to_thread(model.plot, plot)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    @routes.post("/announce")
    async def announce(request: Request) -> dict[str, int]:
        """Has all boxes look for a new model now. It carries no trust: who gets which is signed elsewhere."""
        if parts.repository is None:
            raise HTTPException(409, "this hub serves no models: start the dashboard with --updates DIR")
        try:
            version = int(await asyncio.to_thread(lambda: parts.repository.open("timestamp").signed.version))  # type: ignore[union-attr]
        except UserError as error:
            raise HTTPException(409, str(error)) from None
        if not parts.hub.broker.publish(
            ANNOUNCE, encode(Announcement(timestamp_version=version)), retain=True
        ):
            raise HTTPException(503, "there is no connection to the broker just now")
        await note(parts, request, "models announced", str(version), "ok")
        return {"timestamp_version": version}

    return routes


def _model(model: Model, plots: list[str], house: House, seen: set[tuple[str, str]]) -> ModelOut:
    fields: dict[str, Any] = {
        "name": model.name,
        "model": model.full_name,
        "size": model.size,
        "plots": plots,
    }
    if model.target is None:
        runs = sum(_runs(room) == (model.full_name, 0) for room in house.rooms.values())
        return ModelOut(release=0, current=False, runs=runs, **fields)
    about = model.target.release
    current = (about.tier, about.channel) not in seen
    seen.add((about.tier, about.channel))
    return ModelOut(
        release=about.release,
        current=current,
        runs=sum(_runs(room)[1] == about.release for room in house.rooms.values()),
        channel=about.channel,
        percent=about.percent,
        nodes=list(about.nodes),
        forced=about.forced,
        withdraws=about.withdraws,
        runtimes=list(about.runtimes),
        architectures=list(about.architectures),
        min_daemon=about.min_daemon,
        progress=_progress(about, house) if current else None,
        **fields,
    )


def _progress(about: Release, house: House) -> dict[str, int]:
    """Boxes that are meant, by what they make of it."""
    statuses = {room.node: room.model for room in house.rooms.values() if room.model is not None}
    online = [room.node for room in house.rooms.values() if room.availability == "online"]
    return dict(Counter(what for what, _ in progress.rows_of(about, statuses, online).values()))


def _runs(room: Room) -> tuple[str, int]:
    """The model that its ear says it runs, and the number of the release."""
    ear = room.info.ear if room.info is not None else None
    name = ear.model if ear is not None else "" if room.model is None else room.model.model
    return name, 0 if room.model is None else room.model.release


def _box(room: Room) -> Box:
    model, release = _runs(room)
    status = room.model
    return Box(
        node=room.node,
        name=room.name,
        online=room.availability == "online",
        model=model,
        release=release,
        latest="" if status is None else status.latest_version,
        state="idle" if status is None else status.state,
        percentage=None if status is None else status.update_percentage,
        error="" if status is None else status.error,
        refused=0 if status is None else status.refused,
        updates=status is not None,
    )
