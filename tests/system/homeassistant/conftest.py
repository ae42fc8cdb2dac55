"""A network of its own with a broker and a real Home Assistant, once for each version of MQTT.

Home Assistant and device speak the same version, and with 3.1.1 they use a discovery prefix of their own, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.machines import container, home_assistant
from tests.support.machines.home_assistant import HomeAssistant
from tests.support.machines.network import own_network
from tests.support.waiting import until

OUTAGE = ("The connection was lost.", "The client is not currently connected.")
PREFIX = {"5": "homeassistant", "3.1.1": "house/discovery"}
BLUEPRINT_HELPERS = ("reason", "began", "ended", "angry", "lost", "sad", "trigger")


@pytest.fixture(scope="package", autouse=True)
def network() -> Iterator[None]:
    container.require_container()
    # Made before the network is one's own: it is downloaded.
    home_assistant.root()
    with own_network():
        yield


@pytest.fixture(scope="package")
def broker(network: None) -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture(scope="package", params=["5", "3.1.1"])
def home(request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory):
    """Home Assistant. Whatever a test does, its MQTT integration has nothing to complain about."""
    made = HomeAssistant(
        tmp_path_factory.mktemp("home"),
        broker.port,
        entry={"protocol": request.param},
        prefix=PREFIX[request.param],
    )
    helpers = {name: {"name": name, "initial": False} for name in BLUEPRINT_HELPERS}
    made.set_automations([], helpers)
    with made as running:
        yield running


@pytest.fixture(autouse=True)
def no_warnings(request: pytest.FixtureRequest) -> Iterator[None]:
    home: HomeAssistant = request.getfixturevalue("home")
    before = len(home.mqtt_warnings)
    yield
    allowed = OUTAGE if "outage" in request.node.name else ()
    found = [line for line in home.mqtt_warnings[before:] if not line.endswith(allowed)]
    assert found == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ha-") as made:
        yield Path(made)


@pytest.fixture
def subscriber(broker: Broker) -> Iterator[Subscriber]:
    with Subscriber(broker.port) as client:
        yield client


@pytest.fixture
def link(folder: Path, broker: Broker, home: HomeAssistant) -> Iterator[LinkProcess]:
    """The link of the room `kitchen`, which Home Assistant knows; afterwards it is removed there."""
    running = LinkProcess(folder, broker.port, settings=("node.name=Kitchen", *home.link_settings))
    with running:
        until(lambda: home.entity_id("kitchen", "drops"), 30)
        until(lambda: home.state(home.entity_id("kitchen", "mute")) in ("on", "off"), 30)
        yield running
        running.stop()
    gone = (*home.link_settings, "homeassistant.discovery=false")
    with LinkProcess(folder, broker.port, settings=gone) as last:
        until(lambda: home.device("kitchen") is None, 30)
        last.stop()


@pytest.fixture
def ear(link: LinkProcess) -> Iterator[EarClient]:
    with EarClient(link.socket) as client:
        until(lambda: "ear_connected" in link.codes)
        yield client
