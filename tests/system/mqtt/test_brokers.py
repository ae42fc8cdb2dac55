"""The client against brokers that can less than mosquitto; docs/brokers.md has the table."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from edge.mqtt.events import Connected, Message
from edge.mqtt.session import Subscription, Will
from tests.support.broker import HOST, free_port
from tests.support.waiting import until


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.fixture
def rumqttd():
    """MQTT 3.1.1 only, without a limit for messages."""
    pytest.importorskip("iotcore", reason="pip install --group demo")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "iotcore", "--listen", HOST, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: answers(port))
    yield SimpleNamespace(host=HOST, port=port)
    process.kill()
    process.wait()


def test_rumqttd(rumqttd, connect):
    shared = Subscription("t/+/x", share="recorders")
    subscriber = connect(rumqttd, "subscriber", shared)
    publisher = connect(rumqttd, "publisher", will=Will("t/will/x", b"gone"))
    assert [event.version for event in subscriber.of(Connected)] == ["3.1.1"]
    assert publisher.client.publish_and_wait("t/a/x", bytes(20_000)) == 0
    assert publisher.client.publish_and_wait("t/a/x", b"kept", retain=True) == 0
    until(lambda: subscriber.payloads == [b"kept"])
    late = connect(rumqttd, "late", Subscription("t/+/x"))
    until(lambda: late.payloads == [b"kept"])
    assert late.of(Message)[0].retain
    assert subscriber.losses == []
