"""One paho client, made and connected as `ClientOptions` say, with a bound on what it keeps of a received packet.

MQTT 5 brokers are asked for small packets (Maximum Packet Size). On MQTT 3.1.1, and with a broker that ignores the
request, anything may come, and paho would read all of it into memory. To close the connection would help nothing: the
broker sends the message again at the next one. So the end of a packet that is too long is read and thrown away as it
comes, and what is left can be acknowledged and dropped.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.mqtt import tls
from edge.mqtt.address import BrokerAddress
from edge.mqtt.credentials import password
from edge.mqtt.events import Capabilities
from edge.mqtt.reconnect import Attempt
from edge.mqtt.session import ClientOptions, Publish, Subscription

READ_BYTES: Final = 65_536
"""How much is read at once."""
HEADER_BYTES: Final = 70_000
"""Kept of every packet: the topic, of 65,535 bytes at most, and the packet's number behind it."""

LINGER_S: Final = 0.5
"""How long a broker may take to close after our DISCONNECT."""


class BoundedClient(paho.Client):
    """Keeps at most `HEADER_BYTES` and two reads of a packet, however long it is."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize <= READ_BYTES:
            return super()._sock_recv(bufsize)
        kept: bytearray = self._in_packet["packet"]
        del kept[HEADER_BYTES:]
        return super()._sock_recv(READ_BYTES)

    def _easy_log(self, level: Any, fmt: str, *args: Any) -> None:
        # paho writes out every packet with all its properties, a fifth of the CPU time of receiving, before it asks who
        # reads that. Only errors are read.
        if level == paho.MQTT_LOG_ERR:
            super()._easy_log(level, fmt, *args)

    @property
    def packet_bytes(self) -> int:
        """The full length of the packet that is being read or handled, without its first few bytes."""
        return int(self._in_packet["remaining_length"])


def make(options: ClientOptions, attempt: Attempt) -> BoundedClient:
    """Return a client that does not reconnect by itself, without callbacks."""
    five = attempt.version == "5"
    client = BoundedClient(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=None if five else options.session_expiry_s == 0,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=options.manual_ack,
    )
    client.connect_timeout = tls.CONNECT_TIMEOUT_S
    client.suppress_exceptions = True
    if options.will is not None:
        will = options.will
        client.will_set(will.topic, will.payload, qos=attempt.will_qos, retain=attempt.will_retain)
    return client


def connect(client: paho.Client, address: BrokerAddress, options: ClientOptions, *, five: bool) -> None:
    """Open the socket and send CONNECT; blocks for seconds. Raises `OSError`, or `UserError` for credentials."""
    if address.username:
        client.username_pw_set(address.username, password(address))
    context = tls.context(address)
    if context is not None:
        client.tls_set_context(context)
    keepalive_s = options.keepalive_s or address.keepalive_s
    if not five:
        client.connect(address.host, address.port, keepalive_s)
        return
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = options.max_packet_bytes
    if options.session_expiry_s:
        properties.SessionExpiryInterval = options.session_expiry_s
    if options.receive_maximum is not None:
        properties.ReceiveMaximum = options.receive_maximum
    clean_start = options.session_expiry_s == 0
    client.connect(address.host, address.port, keepalive_s, clean_start=clean_start, properties=properties)


def publish(
    client: paho.Client, message: Publish, capabilities: Capabilities, *, five: bool
) -> paho.MQTTMessageInfo:
    """Queue or send a message as far as the broker can take it: QoS and retain flag are lowered where it lacks them."""
    properties = None
    if five and message.expiry_s is not None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = message.expiry_s
    return client.publish(
        message.topic,
        message.payload,
        qos=min(message.qos, capabilities.max_qos),
        retain=message.retain and capabilities.retain,
        properties=properties,
    )


def subscribe(
    client: paho.Client, wanted: tuple[Subscription, ...], capabilities: Capabilities, *, five: bool
) -> None:
    """Send SUBSCRIBE, with groups where the broker can share."""
    sharing = five and capabilities.shared_subscriptions
    topics: list[tuple[str, Any]] = []
    for one in wanted:
        name = f"$share/{one.share}/{one.topic}" if one.share and sharing else one.topic
        qos = min(one.qos, capabilities.max_qos)
        if five and not one.retained:
            kept = SubscribeOptions(
                qos=qos, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
            )
            topics.append((name, kept))
        else:
            topics.append((name, SubscribeOptions(qos=qos) if five else qos))
    client.subscribe(topics)


def drop_socket(client: paho.Client) -> None:
    """Close the socket, where there is one, without a DISCONNECT."""
    if (channel := client.socket()) is not None:
        with contextlib.suppress(OSError):
            channel.close()


def linger(channel: Any) -> None:
    """Read what still comes until the broker closes the socket.

    Otherwise the kernel resets the connection, and the broker may not see our DISCONNECT and publish the last will.
    """
    end = time.monotonic() + LINGER_S
    with contextlib.suppress(OSError):
        channel.settimeout(LINGER_S)
        while time.monotonic() < end and channel.recv(4096):
            pass


def capabilities_of(properties: Properties | None, attempt: Attempt) -> Capabilities:
    """Return what a CONNACK says of the broker, and what earlier connections have shown of it."""

    def get(name: str, default: Any) -> Any:
        return getattr(properties, name, default)

    default = Capabilities()
    return Capabilities(
        # MQTT 3.1.1 does not say it: what the will had to do without.
        retain=bool(get("RetainAvailable", attempt.will_retain)),
        max_qos=int(get("MaximumQoS", default.max_qos if attempt.will_qos else 0)),
        shared_subscriptions=bool(get("SharedSubscriptionAvailable", default.shared_subscriptions)),
        wildcard_subscriptions=bool(get("WildcardSubscriptionAvailable", default.wildcard_subscriptions)),
        max_packet_bytes=min(
            int(get("MaximumPacketSize", default.max_packet_bytes)), attempt.max_packet_bytes
        ),
        receive_maximum=int(get("ReceiveMaximum", default.receive_maximum)),
        keepalive_s=get("ServerKeepAlive", default.keepalive_s),
    )
