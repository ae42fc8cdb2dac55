"""The dashboard's connection to a real broker: commands and their responses, and its own probe."""

import asyncio
import time

import msgspec
import pytest

from dashboard.live.feed import Feed
from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import Message
from edge.mqtt.session import ClientOptions, Subscription
from edge.protocol import Command, Info, Response, encode
from tests.support.broker import Broker


@pytest.fixture
def broker(tmp_path):
    """By itself mosquitto drops what it has for a subscriber beyond 1,000 messages."""
    with Broker("allow_anonymous true\nmax_queued_messages 0", folder=tmp_path) as running:
        yield running


@pytest.fixture
def device(broker):
    """Answers each command with ok, and one that mutes with an error."""

    def answer(event):
        if isinstance(event, Message):
            command = msgspec.json.decode(event.payload, type=Command)
            verb = event.topic.rpartition("/")[2]
            response = Response(transaction=command.transaction, ok=verb != "mute", error="no ear")
            client.publish(f"roomtone/kitchen/resp/{verb}", encode(response))

    client = Client(
        BrokerAddress(broker.host, broker.port),
        ClientOptions("device", (Subscription("roomtone/kitchen/cmd/+"),)),
        answer,
    )
    assert client.connect(20) is None
    yield client
    client.stop()


def with_feed(broker, use):
    async def run():
        feed = Feed(BrokerAddress(broker.host, broker.port), "roomtone")
        await feed.start()
        try:
            return await use(feed)
        finally:
            await feed.stop()

    return asyncio.run(run())


def test_a_command_gets_the_response_of_its_device(broker, device):
    async def use(feed):
        return await asyncio.gather(*(feed.command("kitchen", verb) for verb in ("identify", "mute")))

    good, bad = with_feed(broker, use)
    assert (good.ok, bad.ok, bad.error) == (True, False, "no ear")


def test_a_device_that_does_not_answer_gives_none(broker, monkeypatch):
    monkeypatch.setattr("dashboard.live.feed.RESPONSE_TIMEOUT_S", 0.3)
    assert with_feed(broker, lambda feed: feed.command("hall", "identify")) is None


def test_without_a_broker_a_command_fails_at_once_and_the_probe_says_no(broker):
    async def use(feed):
        broker.kill()
        while feed.broker.connection.state == "connected":
            await asyncio.sleep(0.05)
        with pytest.raises(ConnectionError):
            await feed.command("kitchen", "identify")
        return await feed.probe()

    assert with_feed(broker, use) is False


def test_the_probe_comes_back(broker):
    async def use(feed):
        assert feed.broker.connection.state == "connected"
        return await feed.probe()

    assert with_feed(broker, use) is True


JUNK = {
    "lamp/availability": b'{"state": "online"}',
    "lamp/state": b"ON",
    "lamp/info": b"{}",
    "lamp/mic": b"\xff\xfe",
    "lamp/health": b'{"linkquality": 120}',
    "lamp/model": b"LED1924G9",
    "a room/availability": b"online",
    "lamp/set/state": b"{}",
    "lamp/resp/mute": b"ok",
}
"""What other programs leave below a base topic, after Zigbee2MQTT."""
VALID_JUNK = {
    "plug/availability": b"online",
    "plug/mic": b"ok",
    "plug/muted_by": b"{}",
    "plug/model": b'{"installed_version": "1.2", "latest_version": "1.3"}',
    "moved/info": encode(Info(node="kitchen", name="Kitchen", version="1")),
}
"""What they may leave that a device publishes alike."""
REFUSED = (set(JUNK) - {"lamp/set/state"}) | {"moved/info"}
"""All of it that is subscribed to, and is no message of the protocol."""
NAMES = 3000


def test_retained_junk_of_other_programs_makes_no_room(broker, device):
    for name, payload in (JUNK | VALID_JUNK).items():
        device.publish_and_wait(f"roomtone/{name}", payload, retain=True)
    for number in range(NAMES):
        while device.publish(f"roomtone/name-{number}/availability", b"online", retain=True) is None:
            time.sleep(0.01)  # So many wait to be sent already.
    assert device.publish_and_wait("roomtone/kitchen/availability", b"online", retain=True) is not None
    device.publish_and_wait("roomtone/kitchen/mic", b"ok", retain=True)
    device.publish_and_wait(
        "roomtone/kitchen/info", encode(Info(node="kitchen", name="Kitchen", version="1")), retain=True
    )

    async def use(feed):
        while "kitchen" not in feed.registry.rooms or feed.broker.refusals.total < len(REFUSED):
            await asyncio.sleep(0.05)
        deadline = time.monotonic() + 20
        while len(feed.registry._unconfirmed) < NAMES + len({"plug"}) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert len(feed.registry._unconfirmed) == NAMES + len({"plug"})
        kitchen = feed.registry.rooms["kitchen"]
        assert (kitchen.availability, kitchen.mic, kitchen.name) == ("online", "ok", "Kitchen")
        return set(feed.registry.rooms)

    assert with_feed(broker, use) == {"kitchen"}


def test_a_device_whose_info_comes_last_is_known_as_a_whole(broker, device):
    """The order of retained messages is the broker's."""

    async def use(feed):
        for leaf, payload in (("availability", b"online"), ("mic", b"muted")):
            await asyncio.to_thread(device.publish_and_wait, f"roomtone/kitchen/{leaf}", payload, retain=True)
        await asyncio.sleep(0.5)
        assert feed.registry.rooms == {}
        info = encode(Info(node="kitchen", name="Kitchen", version="1"))
        await asyncio.to_thread(device.publish_and_wait, "roomtone/kitchen/info", info, retain=True)
        while not feed.registry.rooms:
            await asyncio.sleep(0.05)
        return feed.registry.rooms["kitchen"]

    kitchen = with_feed(broker, use)
    assert (kitchen.availability, kitchen.mic) == ("online", "muted")
