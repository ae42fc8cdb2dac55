"""The link must not look alive while its connection hangs; nor hang because its unit may go nowhere by 127.0.0.1."""

import socket
import threading
from pathlib import Path

import pytest

from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.session import ClientOptions
from tests.support.broker import Broker
from tests.support.link import LinkProcess, Subscriber
from tests.support.waiting import until


@pytest.fixture
def broker(tmp_path):
    with Broker(folder=tmp_path) as broker:
        yield broker


def peers(pid):
    """The ports at the other end of a process's TCP sockets, 0 for one that listens."""
    places = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    inodes = {place[8:-1] for place in places if place.startswith("socket:[")}
    table = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [int(row[2].split(":")[1], 16) for row in table if row[9] in inodes]


def test_the_broker_is_all_that_the_link_reaches_by_tcp(tmp_path, broker):
    """paho's own threads talk over TCP to each other, which `IPAddressDeny=` forbids: the link would hang."""
    with LinkProcess(tmp_path, broker.port) as link, Subscriber(broker.port) as subscriber:
        until(lambda: any(m.topic.endswith("/availability") for m in subscriber.messages))
        assert peers(link.process.pid) == [broker.port]


def test_a_connection_that_hangs_is_noticed(broker, monkeypatch):
    released = threading.Event()
    resolve = socket.getaddrinfo

    def hangs(*arguments, **more):
        released.wait()
        return resolve(*arguments, **more)

    events = []
    client = Client(BrokerAddress(broker.host, broker.port), ClientOptions("one"), events.append)
    assert client.stuck_s() == 0
    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    client.start()
    try:
        until(lambda: client.stuck_s() > 3.0)
        released.set()
        until(lambda: events)
        assert client.stuck_s() < 2.5
    finally:
        released.set()
        client.stop()
