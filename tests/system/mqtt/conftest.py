from datetime import UTC, datetime

import pytest

from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import Connected, Disconnected, Message, State
from edge.mqtt.reconnect import Backoff
from edge.mqtt.session import ClientOptions
from provisioning.fleet.authority import Authority, cert_pem, key_pem, new_ca, new_key
from tests.support.broker import HOST, Broker


class Recorded:
    """A client and the events that it reports; `publishes`: a topic and a payload, published at each connection."""

    def __init__(self, address, options, publishes=None):
        self.events = []
        self._publishes = publishes
        self.client = Client(address, options, self._on_event, Backoff(first_s=0.3, cap_s=1.0))

    def _on_event(self, event):
        self.events.append(event)
        if self._publishes and isinstance(event, Connected):
            self.client.publish(*self._publishes)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def payloads(self):
        return [message.payload for message in self.of(Message)]

    @property
    def losses(self):
        return [event.reason.code for event in self.of(Disconnected)]


@pytest.fixture
def connect():
    """`connect(broker, client_id, subscription, ..., version=, tls files=, option=)` gives a client that is ready."""
    made = []

    def start(broker, client_id, *subscriptions, wait=True, address=None, publishes=None, **more):
        fields = {"version": more.pop("version", "auto"), **(address or {})}
        one = Recorded(
            BrokerAddress(broker.host, broker.port, **fields),
            ClientOptions(client_id, subscriptions, **more),
            publishes,
        )
        made.append(one.client)
        one.client.start()
        if wait:
            assert one.client.wait_for(State.READY, 20), (one.client.state, one.client.last_reason)
        return one

    yield start
    for client in made:
        client.stop()


@pytest.fixture
def tls_broker(tmp_path):
    """A broker with TLS; `broker.address` holds the fields that a client's address needs."""
    now = datetime.now(UTC)
    authority = Authority("test", *new_ca("test", now))
    key = new_key()
    made = authority.issue_broker([HOST], key.public_key(), now, 30)
    for name, text in (
        ("ca.crt", cert_pem(authority.certificate)),
        ("broker.crt", cert_pem(made)),
        ("broker.key", key_pem(key)),
    ):
        (tmp_path / name).write_text(text)
    config = (
        "listener {port} 127.0.0.1\nallow_anonymous true\n"
        "certfile {folder}/broker.crt\nkeyfile {folder}/broker.key"
    )
    with Broker(config, folder=tmp_path) as broker:
        broker.address = {"tls": True, "ca_file": str(tmp_path / "ca.crt")}
        yield broker
