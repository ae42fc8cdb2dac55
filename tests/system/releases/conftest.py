"""A site with its hub, a broker, and devices."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.broker import Broker
from tests.support.bundles import tiny
from tests.support.link import Subscriber
from tests.support.site.hub_server import Hub
from tests.support.site.publishing import (
    Server,
    Site,
    commands,
    server,
    site,
)
from tests.support.site.room_device import Device

__all__ = ["server", "site"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="up-") as made:
        yield Path(made)


@pytest.fixture
def home(broker: Broker) -> Iterator[Subscriber]:
    with Subscriber(broker.port) as listening:
        yield listening


@pytest.fixture
def device(folder: Path, broker: Broker, site: Site, server: Server) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []
    factory = tiny.make(folder / "shipped", "1.0.0")

    def one(node: str = "kitchen", **settings: object) -> Device:
        made.append(Device(folder / node, node, broker.port, factory, site, server, **settings))
        return made[-1]

    yield one
    for each in made:
        each.stop()


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    made = Hub(folder)
    yield made
    made.stop()


@pytest.fixture
def workstation(folder: Path) -> Callable[..., SimpleNamespace]:
    """Without a hub: `--no-upload`."""
    return commands(folder, "https://hub.invalid/updates")


@pytest.fixture
def fleet(folder: Path, hub: Hub) -> Callable[..., SimpleNamespace]:
    """With a hub that runs."""
    run = commands(folder, hub.url)
    run.signing += ("--ca", str(hub.cert))
    hub.start(folder / "site" / "models" / "hub")
    return run
