"""Several nodes of one broker cluster: from the configuration, from the command line, or behind one name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.mqtt.events import Connected, State
from tests.support.broker import HOST, Broker, free_port
from tests.support.dashboard import Recorder
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.process import roomtone
from tests.support.waiting import until

OTHER_HOST = "127.0.0.2"
NAME = "cluster.example"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Broker, Broker]]:
    """Two brokers at one port of two addresses: as far as a client sees it, a cluster."""
    port = free_port()
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with (
        Broker(folder=folders[0], port=port, host=OTHER_HOST) as first,
        Broker(folder=folders[1], port=port) as second,
    ):
        yield first, second


def test_a_device_goes_on_at_the_next_node_and_sends_what_waited(
    nodes: tuple[Broker, Broker], tmp_path: Path
) -> None:
    first, second = nodes
    settings = (f"mqtt.host={OTHER_HOST}", f'mqtt.more_hosts=["{HOST}"]')
    with (
        Subscriber(second.port) as subscriber,
        LinkProcess(tmp_path, first.port, settings=settings) as link,
        EarClient(link.socket) as ear,
    ):
        until(lambda: "connected" in link.codes, what=lambda: link.log)
        assert OTHER_HOST in link.coded("connected")[0]
        first.kill()
        reports = [ear.report(), ear.report()]
        until(lambda: len(subscriber.of("event")) == len(reports), 60, lambda: link.log)
        assert subscriber.seqs() == [1, 2]
        assert subscriber.last("availability") == "online"


def test_a_recorder_goes_on_at_the_next_node(nodes: tuple[Broker, Broker], tmp_path: Path) -> None:
    first, second = nodes
    with Recorder(first, tmp_path, "--broker", first.url, "--broker", second.url) as recorder:
        recorder.wait_connected()
        first.kill()
        with LinkProcess(tmp_path, second.port) as link, EarClient(link.socket) as ear:
            until(lambda: second.url in "".join(recorder.coded("connected")), 60, lambda: recorder.log)
            ear.report()
            until(lambda: recorder.count() == 1, 60, lambda: recorder.log)


def test_a_name_with_two_addresses_is_enough(
    nodes: tuple[Broker, Broker], connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = nodes
    resolve = socket.getaddrinfo

    def both(host: str, port: int, *more: object, **options: object) -> list[object]:
        hosts = (OTHER_HOST, HOST) if host == NAME else (host,)
        return [found for one in hosts for found in resolve(one, port, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    first.host = NAME
    one = connect(first, "one")
    first.kill()
    until(lambda: len(one.of(Connected)) == 2, 20)
    assert one.client.wait_for(State.READY, 20)


def test_nodes_of_one_cluster_are_reached_alike(tmp_path: Path) -> None:
    done = roomtone(
        "recorder", "--broker", "mqtt://a", "--broker", "mqtts://b", "--database", f"sqlite:///{tmp_path}/x"
    )
    assert done.returncode == 2
    assert "same user" in done.stderr
