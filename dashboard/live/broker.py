"""The connection to the broker: a thread that subscribes, decodes and hands on; it reconnects for ever.

MQTT 3.1.1, because a live page needs nothing of MQTT 5 and so works with every broker.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dashboard.live.client import closed, make, said_of_subscriptions, why
from dashboard.live.decode import Incoming, decode, decode_answer
from edge.mqtt.address import BrokerAddress
from edge.protocol import messages
from edge.protocol.messages import Command, ContractError, Response

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 15.0
FLEET: Final = "fleet"
PROBE: Final = "probe"
ALERT: Final = "alert"
ANNOUNCE: Final = "announce"


@dataclass(frozen=True)
class Connection:
    """How things stand with the broker."""

    state: Literal["connecting", "connected", "lost"]
    detail: str = ""
    """Why it is lost, for people."""


class Broker:
    """Owns the thread and the client. The callbacks are called on that thread and must not block."""

    def __init__(
        self,
        address: BrokerAddress,
        base_topic: str,
        on_message: Callable[[Incoming], None],
        on_connection: Callable[[Connection], None],
        on_answer: Callable[[str, Response], None] = lambda _node, _response: None,
    ) -> None:
        self.address = address
        self.base_topic = base_topic
        self.connection = Connection("connecting")
        self._probe_topic = messages.topic(base_topic, FLEET, PROBE)
        self.settled = threading.Event()
        """Set once, when the first attempt has come to its end: subscribed, or lost."""
        self.ignored = 0
        """Messages that broke the contract."""
        self._on_message = on_message
        self._on_connection = on_connection
        self._on_answer = on_answer
        self._stop = threading.Event()
        self._attempts = 0
        self._welcomed = False
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._client = self._make_client()

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnects and ends the thread; waits for at most half a second (a daemon thread holds up nobody)."""
        self._stop.set()
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def send(self, node: str, verb: str, command: Command) -> bool:
        """Publishes a command to a room; says whether there was a broker to take it."""
        if self.connection.state != "connected":
            return False
        name = messages.topic(self.base_topic, node, f"cmd/{verb}")
        return self._client.publish(name, messages.encode(command), qos=1).rc == mqtt.MQTT_ERR_SUCCESS

    def publish(self, leaf: str, payload: bytes, retain: bool = False) -> bool:
        """Publishes below `B/fleet`, where no room can be; says whether there was a broker to take it."""
        if self.connection.state != "connected":
            return False
        name = messages.topic(self.base_topic, FLEET, leaf)
        return self._client.publish(name, payload, qos=1, retain=retain).rc == mqtt.MQTT_ERR_SUCCESS

    def _make_client(self) -> mqtt.Client:
        name = f"roomtone-dashboard-{secrets.token_hex(6)}"
        client = make(self.address, name, MQTTProtocolVersion.MQTTv311)
        client.on_connect = self._connected
        client.on_message = self._received
        client.on_subscribe = self._subscribed
        return client

    def _run(self) -> None:
        while not self._stop.is_set():
            self._welcomed = False
            try:
                # A new client each time: renewed certificates are read.
                self._client = self._make_client()
                self._client.connect(self.address.host, self.address.port, keepalive=20)
                self._client.loop_forever(retry_first_connection=False)
                if not self._stop.is_set() and self.connection.state != "lost":
                    self._say(Connection("lost", closed(self.address, self._welcomed)))
            except (OSError, ValueError) as error:
                self._say(Connection("lost", why(error, self.address)))
            except Exception:
                log.exception("the connection to the broker failed unexpectedly")
                self._say(Connection("lost", "internal error, see the log"))
            delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._attempts, 10))
            self._attempts += 1
            # Jitter: not every dashboard shall knock at the same moment when a broker comes back.
            self._stop.wait(delay * random.uniform(0.5, 1.0))

    def _connected(
        self,
        client: mqtt.Client,
        _userdata: Any,
        _flags: Any,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._say(Connection("lost", f"the broker refused: {str(code).lower()}"))
            return
        self._attempts = 0
        self._welcomed = True
        topics: list[tuple[str, int]] = [
            (messages.topic(self.base_topic, "+", t), t.qos) for t in messages.TOPICS
        ]
        answers = (messages.topic(self.base_topic, "+", "resp/+"), 1)
        client.subscribe([*topics, answers, (self._probe_topic, 1)])
        self._say(Connection("connected"))

    def _subscribed(self, *said: Any) -> None:
        said_of_subscriptions(*said)
        self.settled.set()

    def _received(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            if message.topic == self._probe_topic:
                self._on_answer(PROBE, Response(transaction=message.payload[:64].decode("ascii"), ok=True))
                return
            if message.topic.rpartition("/")[0].endswith("/resp"):
                node, response = decode_answer(self.base_topic, message.topic, bytes(message.payload))
                self._on_answer(node, response)
                return
            incoming = decode(self.base_topic, message.topic, bytes(message.payload))
            if message.retain and incoming.leaf == messages.EVENT.leaf:
                raise ContractError("a retained event: it would come again at every start")
        except ContractError as error:
            self.ignored += 1
            log.debug("ignored: %s", error)
        except UnicodeDecodeError:
            self.ignored += 1
        else:
            self._on_message(incoming)

    def _say(self, connection: Connection) -> None:
        if connection == self.connection:
            return
        self.connection = connection
        if connection.state == "lost":
            self.settled.set()
            log.warning("no broker at %s: %s; trying again", self.address, connection.detail)
        else:
            log.info("broker %s: %s", self.address, connection.state)
        self._on_connection(connection)
