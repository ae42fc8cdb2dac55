"""The recorder's connection to the broker: the broker keeps the session, and what is not acknowledged.

MQTT 5 first (several recorders can then share one subscription), 3.1.1 where the broker knows nothing newer.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dashboard.live.client import closed, make, said_of_subscriptions, why
from edge.mqtt.address import BrokerAddress
from edge.protocol import messages

log = logging.getLogger(__name__)

SESSION_S: Final = 7 * 86_400
"""How long the broker keeps events for a recorder that is away."""
IN_FLIGHT: Final = 2000
"""How many unwritten messages the broker may send; its own `max_inflight_messages` may be lower."""
DELAYS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Arrived:
    """A message that waits to be written; `acknowledge` it then."""

    topic: str
    payload: bytes
    retain: bool
    acknowledge: Callable[[], object]


class Session:
    """Owns a thread; messages come out of `arrived`."""

    def __init__(self, address: BrokerAddress, base_topic: str, name: str, share: str) -> None:
        self.arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self.connected = threading.Event()
        self.subscribed = threading.Event()
        """Set once, when the broker has taken the first subscription: from then on it keeps what comes."""
        self._address = address
        self._base_topic = base_topic
        self._name = name
        self._share = share
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._stop = threading.Event()
        self._client: mqtt.Client | None = None
        self._attempts = 0
        self._said = ""
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnects; the broker keeps the session."""
        self._stop.set()
        if self._client is not None:
            self._client.disconnect()
        self._thread.join(1.0)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Sends a command; says whether there was a broker to take it."""
        client = self._client
        if client is None or not self.connected.is_set():
            return False
        return client.publish(topic, payload, qos=1).rc == mqtt.MQTT_ERR_SUCCESS

    def _run(self) -> None:
        while not self._stop.is_set():
            tried = self._protocol
            try:
                # A new client each time: an acknowledgement that comes late must go to the connection it belongs to.
                self._client = client = self._make_client()
                self._connect(client)
                client.loop_forever(retry_first_connection=False)
                refused = tried == self._protocol and not self.connected.is_set()
                if not self._said and (self._attempts or refused):
                    self._say(closed(self._address, self.connected.is_set()))
            except (OSError, ValueError) as error:
                self._say(why(error, self._address))
            except Exception:
                log.exception("the connection to the broker failed unexpectedly")
            self.connected.clear()
            delay = DELAYS_S[min(self._attempts, len(DELAYS_S) - 1)]
            self._attempts += 1
            self._stop.wait(delay * random.uniform(0.5, 1.0))

    def _make_client(self) -> mqtt.Client:
        newest = self._protocol == MQTTProtocolVersion.MQTTv5
        client = make(
            self._address,
            f"roomtone-recorder-{self._name}",
            self._protocol,
            clean_session=None if newest else False,
            manual_ack=True,
        )
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _connect(self, client: mqtt.Client) -> None:
        if self._protocol != MQTTProtocolVersion.MQTTv5:
            client.connect(self._address.host, self._address.port, keepalive=30)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = IN_FLIGHT
        client.connect(
            self._address.host, self._address.port, keepalive=30, clean_start=False, properties=properties
        )

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: Any,
        _flags: Any,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            if "protocol version" in str(code).lower() and self._protocol == MQTTProtocolVersion.MQTTv5:
                self._protocol = MQTTProtocolVersion.MQTTv311
                self._attempts = 0
                log.info("the broker does not know MQTT 5, going on with 3.1.1")
                return
            self._say(f"the broker refused: {str(code).lower()}")
            return
        shared = (
            f"$share/{self._share}/" if self._share and self._protocol == MQTTProtocolVersion.MQTTv5 else ""
        )
        topics: list[tuple[str, int]] = [
            (shared + messages.topic(self._base_topic, "+", messages.EVENT), 1),
            (messages.topic(self._base_topic, "+", messages.INFO), 1),
            (messages.topic(self._base_topic, "+", messages.AVAILABILITY), 1),
        ]
        # What came over an earlier connection and was not acknowledged comes again over this one.
        while not self.arrived.empty():
            self.arrived.get()
        client.subscribe(topics)
        log.info("connected to %s", self._address)
        self._attempts, self._said = 0, ""
        self.connected.set()

    def _on_subscribe(self, *said: Any) -> None:
        said_of_subscriptions(*said)
        self.subscribed.set()

    def _on_message(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos
        self.arrived.put(
            Arrived(message.topic, bytes(message.payload), message.retain, lambda: client.ack(mid, qos))
        )

    def _say(self, reason: str) -> None:
        if reason != self._said and not self._stop.is_set():
            log.warning("no broker at %s: %s; trying again", self._address, reason)
        self._said = reason
