"""A device and a recorder at brokers of others; docs/brokers.md has what works at each."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from tests.conftest import ROOT
from tests.support.broker import HOST
from tests.support.link import EarClient, LinkProcess
from tests.support.machines import container
from tests.support.machines.brokers import BROKERS, OtherBroker
from tests.support.machines.network import own_network
from tests.support.process import RoomtoneProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

VERSION = {
    "mosquitto 2.0.21": "5",
    "RabbitMQ 4.0": "5",
    "ejabberd 24.12": "5",
    "rumqttd": "3.1.1",
    "aedes 0.51": "3.1.1",
}
"""Brokers at which a whole device was seen to work, and the version of MQTT that is used there."""
NO_RETAINED_AT_WILDCARDS = {"RabbitMQ 4.0"}


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    container.require_container()
    with own_network():
        yield


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.fixture(params=sorted(VERSION))
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OtherBroker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = BROKERS[request.param](folder)
    made.name = request.param
    try:
        yield made.wait(answers)
    finally:
        made.stop()


class Client:
    """A plain subscriber with MQTT 3.1.1, which every broker speaks."""

    def __init__(self, port: int, topics: str) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=f"client-{time.monotonic_ns()}",
            protocol=paho.MQTTv311,
        )
        self._client.on_connect = lambda client, *_: client.subscribe(topics, 1)
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(10)

    def topics(self) -> set[str]:
        return {message.topic for message in self.messages}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("select count(*) from events").fetchone()[0])


def test_a_device_and_a_recorder_work_there(other: OtherBroker, tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    words = ("recorder", "--broker", other.url, "--database", f"sqlite:///{database}")
    with (
        Client(other.port, "roomtone/#") as client,
        RoomtoneProcess(tmp_path, *words) as recorder,
        LinkProcess(tmp_path, other.port) as link,
        EarClient(link.socket) as ear,
    ):
        for _ in range(3):
            ear.report("sad")
        until(lambda: ear.acks == [1, 2, 3], 60)
        until(lambda: rows(database) == 3, 60, lambda: recorder.log)
        assert link.mqtt_versions[-1] == VERSION[other.name]
        leaves = {name.rpartition("/")[2] for name in client.topics()}
        assert {"availability", "event", "health", "info", "mic", "speech", "state"} <= leaves
        client.publish("roomtone/kitchen/cmd/identify", '{"transaction":"1"}')
        until(lambda: "roomtone/kitchen/resp/identify" in client.topics(), 30)
        with Client(other.port, "roomtone/kitchen/availability") as late:
            until(lambda: late.messages, 30)
            assert (late.messages[0].payload, late.messages[0].retain) == (b"online", True)
        with Client(other.port, "roomtone/+/availability") as late:
            time.sleep(3)
            assert bool(late.messages) == (other.name not in NO_RETAINED_AT_WILDCARDS)
        assert "Traceback" not in link.log + recorder.log


def test_the_page_lists_every_broker() -> None:
    page = (ROOT / "docs" / "brokers.md").read_text(encoding="utf-8")
    for name, version in VERSION.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name}"))
        assert version in row and "test_other_brokers.py" in row
