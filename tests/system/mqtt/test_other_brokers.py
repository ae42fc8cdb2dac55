"""Device, recorder and pages at brokers of others, without and with TLS; docs/brokers.md has what works at each."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest

from edge.config.settings import Config, Mqtt, Node
from edge.link.broker_check import check_broker
from tests.conftest import ROOT
from tests.support.broker import HOST
from tests.support.dashboard import AUTHORIZED, Dashboard
from tests.support.link import EarClient, LinkProcess
from tests.support.machines import container
from tests.support.machines.brokers import BROKERS, OtherBroker
from tests.support.machines.network import own_network
from tests.support.machines.secured_brokers import SECURED, USER, Secured, write_credentials
from tests.support.process import RoomtoneProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

VERSION = {
    "mosquitto 2.0.21": "5",
    "RabbitMQ 4.0": "5",
    "ejabberd 24.12": "5",
    "rumqttd": "3.1.1",
    "aedes 0.51": "3.1.1",
    "amqtt 0.12": "3.1.1",
}
"""Brokers at which a whole device was seen to work, and the version of MQTT that is used there."""
NO_RETAINED_AT_WILDCARDS = {"RabbitMQ 4.0"}
NO_CLIENT_CERTIFICATE = {"ejabberd 24.12", "rumqttd", "amqtt 0.12"}
REFUSED = {"not_authorized", "bad_user_or_password", "closed_unanswered"}
"""What the link may say of a wrong password: rumqttd and others close the connection and give no reason."""


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

    def messages_of_availability(self) -> list[paho.MQTTMessage]:
        """Without others: amqtt sends retained messages of topics, too, without a subscription to them."""
        return [message for message in self.messages if message.topic == "roomtone/kitchen/availability"]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in self.messages if m.topic == "roomtone/kitchen/event"]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("select count(*) from events").fetchone()[0])


def shown_online(address: str) -> bool:
    """Whether the pages list the kitchen, and as connected."""
    rooms = httpx.get(f"{address}/api/rooms", headers=AUTHORIZED).json()
    return [(room["node"], room["online"]) for room in rooms] == [("kitchen", True)]


def broker_card(address: str) -> str:
    """What the page *Fleet* says of the broker."""
    return str(httpx.get(f"{address}/api/fleet", headers=AUTHORIZED).json()["broker"]["detail"])


def says_what_is_missing(
    other: OtherBroker, link: LinkProcess, recorder: RoomtoneProcess, pages: Dashboard
) -> None:
    """Link, recorder, pages and `roomtone doctor` say in one line that new subscribers get nothing by a wildcard."""
    config = Config(mqtt=Mqtt(host=HOST, port=other.port), node=Node(id="kitchen"))
    checked = check_broker(config, True)
    address = pages.address()
    if other.name in NO_RETAINED_AT_WILDCARDS:
        assert (checked.state, "wildcard" in checked.detail) == ("warn", True)
        for program in (link, recorder, pages):
            until(
                lambda program=program: program.coded("broker_lacks"), 60, lambda program=program: program.log
            )
            assert ["wildcard" in line for line in program.coded("broker_lacks")] == [True]
        until(lambda: "wildcard" in broker_card(address), 30)
    else:
        assert checked.state == "ok", checked
        time.sleep(12)  # longer than any of them waits before it asks
        assert [program.coded("broker_lacks") for program in (link, recorder, pages)] == [[], [], []]
        assert broker_card(address) == ""


def test_a_device_a_recorder_and_the_pages_work_there(other: OtherBroker, tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    words = ("recorder", "--broker", other.url, "--database", f"sqlite:///{database}")
    with (
        Client(other.port, "roomtone/#") as client,
        RoomtoneProcess(tmp_path, *words) as recorder,
        Dashboard(tmp_path, "--broker", other.url) as pages,
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
        first = client.events()[0]
        client.publish(
            "roomtone/kitchen/cmd/replay",
            json.dumps({"transaction": "2", "boot": first["boot"], "from_seq": 1}),
        )
        until(lambda: len(client.events()) == 6, 30, lambda: link.log)
        assert sorted(event["seq"] for event in client.events()) == [1, 1, 2, 2, 3, 3]
        address = pages.address()
        until(lambda: shown_online(address), 100, lambda: pages.log)
        with Client(other.port, "roomtone/kitchen/availability") as late:
            until(late.messages_of_availability, 30)
            assert {message.payload for message in late.messages_of_availability()} == {b"online"}
            assert all(message.retain for message in late.messages)
        with Client(other.port, "roomtone/+/availability") as late:
            time.sleep(3)
            assert bool(late.messages_of_availability()) == (other.name not in NO_RETAINED_AT_WILDCARDS)
        says_what_is_missing(other, link, recorder, pages)
        later = tmp_path / "later"
        later.mkdir()
        with Dashboard(later, "--broker", other.url) as second:
            address = second.address()
            until(lambda: shown_online(address), 100, lambda: second.log)
        assert rows(database) == 3
        assert "Traceback" not in link.log + recorder.log + pages.log


@pytest.fixture(params=sorted(SECURED))
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secured]:
    folder = tmp_path / "broker"
    folder.mkdir()
    write_credentials(folder)
    made = SECURED[request.param](folder)
    made.broker.name = request.param
    try:
        made.broker.wait(answers)
        yield made
    finally:
        made.broker.stop()


def test_tls_with_a_password_and_with_a_certificate(secured: Secured, tmp_path: Path) -> None:
    files = tmp_path / "broker"
    tls = ("mqtt.tls=true", f"mqtt.ca_file={files / 'ca.crt'}")
    (files / "wrong").write_text("another password\n")
    ways: dict[str, tuple[int | None, tuple[str, ...]]] = {
        way: (secured.password_port, (f"mqtt.username={USER}", f"mqtt.password_file={files / way}"))
        for way in ("password", "wrong")
    }
    shown = (f"mqtt.cert_file={files / 'client.crt'}", f"mqtt.key_file={files / 'client.key'}")
    ways["certificate"] = (secured.certificate_port, shown)
    assert (secured.certificate_port is None) == (secured.broker.name in NO_CLIENT_CERTIFICATE)
    database = tmp_path / "events.db"
    url = f"mqtts://{USER}@{HOST}:{secured.password_port}"
    words = (
        "recorder", "--broker", url, "--ca-file", files / "ca.crt", "--password-file", files / "password",
        "--database", f"sqlite:///{database}",
    )  # fmt: skip
    with RoomtoneProcess(tmp_path, *words) as recorder:
        stored = 0
        for way, (port, settings) in ways.items():
            if port is None:
                continue
            folder = tmp_path / way
            folder.mkdir()
            with LinkProcess(folder, port, settings=(*tls, *settings)) as link, EarClient(link.socket) as ear:
                ear.report("sad")
                if way == "wrong":
                    until(lambda link=link: REFUSED & set(link.codes), 60, lambda link=link: link.log)
                    assert "connected" not in link.codes
                    continue
                stored += 1
                until(
                    lambda count=stored: rows(database) == count,
                    90,
                    lambda link=link: link.log + recorder.log,
                )
                assert link.stop() == 0


def test_the_page_lists_every_broker() -> None:
    page = (ROOT / "docs" / "brokers.md").read_text(encoding="utf-8")
    for name, version in VERSION.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name}"))
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        can = [
            "no" if name in those else "yes"
            for those in (NO_RETAINED_AT_WILDCARDS, (), NO_CLIENT_CERTIFICATE)
        ]
        assert cells == [version, *can]
