"""Models: releases and shipped bundles, their model cards and plots, and the progress of each roll-out."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dashboard.api.common import Services, record_action
from dashboard.live.broker import ANNOUNCE
from dashboard.live.registry import Room, RoomRegistry
from dashboard.releases import cards
from dashboard.releases.catalogue import MissingError, Model
from edge.protocol import Announcement, encode
from edge.releases.metadata import Release
from edge.util.errors import UserError
from edge.util.text.patterns import pattern
from provisioning.publish import progress

NAME: Final = pattern(r"^[a-z0-9][a-z0-9.-]{0,100}$", "a model's name such as base-1.2.3").pattern
PLOT: Final = pattern(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\.png$", "the name of a picture, NAME.png").pattern
Name = Annotated[str, Path(pattern=NAME, description="As `/api/models` says it")]
Plot = Annotated[str, Path(pattern=PLOT)]


class ModelOut(BaseModel):
    """A release, or (release 0) a bundle that was installed with the package."""

    name: str
    model: str = Field(description="such as base-1.1.0")
    release: int
    size: int = Field(
        description="bytes: of the archive of a release, of the TFLite file of an installed bundle"
    )
    plots: list[str]
    current: bool = Field(description="the newest release of its family and channel")
    runs: int = Field(description="devices that run it")
    channel: str = ""
    percent: int = 0
    nodes: list[str] = Field(default=[], description="empty: all devices")
    forced: str = ""
    withdraws: str = ""
    runtimes: list[str] = []
    architectures: list[str] = []
    min_daemon: str = ""
    progress: dict[str, int] | None = Field(default=None, description="target devices, counted by state")


class DeviceModel(BaseModel):
    """The model that a device runs, and the state of its update."""

    node: str
    name: str
    online: bool
    model: str
    release: int = Field(description="0: the model installed with the package")
    latest: str
    state: str
    percentage: int | None
    error: str
    refused: int
    updates: bool = Field(description="false: the device takes no updates")


class Models(BaseModel):
    """All models, newest release first, and what each device runs."""

    serves: bool = Field(description="whether this hub serves a repository of releases")
    models: list[ModelOut]
    devices: list[DeviceModel]


class Card(BaseModel):
    """A model card."""

    markdown: str
    html: str


def router(services: Services) -> APIRouter:
    """Return the routes about models: releases, cards, plots, and what each device runs."""
    routes = APIRouter(prefix="/api/models", tags=["models"])
    _add_list_route(routes, services)
    _add_card_routes(routes, services)
    _add_announce_route(routes, services)
    return routes


def _add_list_route(routes: APIRouter, services: Services) -> None:
    @routes.get("")
    async def models() -> Models:
        """Return releases and shipped bundles with their roll-out, and what each device runs."""

        def read() -> list[tuple[Model, list[str]]]:
            known = (*services.releases.published(), *services.releases.shipped())
            return [(model, model.plots()) for model in known]

        registry = services.feed.registry
        seen: set[tuple[str, str]] = set()
        listed = [_model(model, plots, registry, seen) for model, plots in await asyncio.to_thread(read)]
        devices = sorted(
            (_device(room) for room in registry.rooms.values() if room.has_device),
            key=lambda device: (device.name, device.node),
        )
        return Models(serves=services.repository is not None, models=listed, devices=devices)


def _add_card_routes(routes: APIRouter, services: Services) -> None:
    async def find_model(name: str) -> Model:
        try:
            return await asyncio.to_thread(services.releases.find, name)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None

    @routes.get("/{name}/card")
    async def card(name: Name) -> Card:
        """Return the model card."""
        model = await find_model(name)
        try:
            text = await asyncio.to_thread(model.card)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None
        return Card(markdown=text, html=cards.html(text))

    @routes.get("/{name}/plots/{plot}", response_class=Response)
    async def plot(name: Name, plot: Plot) -> Response:
        """Return one plot of the model card."""
        model = await find_model(name)
        try:
            content = await asyncio.to_thread(model.plot, plot)
        except MissingError as error:
            raise HTTPException(404, str(error)) from None
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _add_announce_route(routes: APIRouter, services: Services) -> None:
    @routes.post("/announce")
    async def announce(request: Request) -> dict[str, int]:
        """Make all devices check for an update now. Which device gets which release is signed on the workstation."""
        repository = services.repository
        if repository is None:
            raise HTTPException(409, "this hub serves no releases: start the dashboard with --updates DIR")
        try:
            timestamp = await asyncio.to_thread(repository.open, "timestamp")
            version = int(timestamp.signed.version)
        except UserError as error:
            raise HTTPException(409, str(error)) from None
        if not services.feed.broker.publish(
            ANNOUNCE, encode(Announcement(timestamp_version=version)), retain=True
        ):
            raise HTTPException(503, "not connected to the broker")
        await record_action(services, request, "models announced", str(version), "ok")
        return {"timestamp_version": version}


def _model(model: Model, plots: list[str], registry: RoomRegistry, seen: set[tuple[str, str]]) -> ModelOut:
    fields: dict[str, Any] = {
        "name": model.name,
        "model": model.full_name,
        "size": model.size,
        "plots": plots,
    }
    if model.target is None:
        runs = sum(_runs(room) == (model.full_name, 0) for room in registry.rooms.values())
        return ModelOut(release=0, current=False, runs=runs, **fields)
    about = model.target.release
    current = (about.family, about.channel) not in seen
    seen.add((about.family, about.channel))
    return ModelOut(
        release=about.release,
        current=current,
        runs=sum(_runs(room)[1] == about.release for room in registry.rooms.values()),
        channel=about.channel,
        percent=about.percent,
        nodes=list(about.nodes),
        forced=about.forced,
        withdraws=about.withdraws,
        runtimes=list(about.runtimes),
        architectures=list(about.architectures),
        min_daemon=about.min_daemon,
        progress=_progress(about, registry) if current else None,
        **fields,
    )


def _progress(about: Release, registry: RoomRegistry) -> dict[str, int]:
    """Count the target devices of a release by their state."""
    statuses = {room.node: room.model for room in registry.rooms.values() if room.model is not None}
    online = [room.node for room in registry.rooms.values() if room.availability == "online"]
    return dict(Counter(state for state, _ in progress.device_states(about, statuses, online).values()))


def _runs(room: Room) -> tuple[str, int]:
    """Return the model that the ear runs and the number of its release."""
    ear = room.info.ear if room.info is not None else None
    name = ear.model if ear is not None else "" if room.model is None else room.model.model
    return name, 0 if room.model is None else room.model.release


def _device(room: Room) -> DeviceModel:
    model, release = _runs(room)
    status = room.model
    return DeviceModel(
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
