"""The dashboard's connection to the broker: subscribes to all rooms, decodes what comes, sends commands."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, Literal

from dashboard.live.broker_figures import ROOT, BrokerFigures
from dashboard.live.decode import IDENTIFYING, LEAVES, Incoming, decode, decode_response
from dashboard.live.refusals import Refusals
from edge import protocol
from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import (
    Capabilities,
    CapabilitiesChanged,
    Connected,
    Disconnected,
    Event,
    Message,
    Subscribed,
)
from edge.mqtt.reconnect import Backoff
from edge.mqtt.request import Requests
from edge.mqtt.session import ClientOptions, Subscription
from edge.protocol import Command, ContractError, Response

log = logging.getLogger(__name__)

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 15.0
KEEPALIVE_S: Final = 20
FLEET: Final = "fleet"
PROBE: Final = "probe"
ALERT: Final = "alert"
ANNOUNCE: Final = "announce"


@dataclass(frozen=True)
class Connection:
    """The state of the connection, as pages show it."""

    state: Literal["connecting", "connected", "lost"]
    detail: str = ""
    """For people: why it is lost, or what the broker lacks or refuses."""
    code: str = ""
    """The same in one word, by which pages translate it: of a `Reason`, or `lacks` or `subscriptions_refused`."""


def _connected(capabilities: Capabilities) -> Connection:
    missing = capabilities.missing()
    return Connection("connected", missing, "lacks" if missing else "")


class Broker:
    """The dashboard's connection to the MQTT broker.

    Callbacks are called on the client's thread and must not block.
    """

    def __init__(
        self,
        address: BrokerAddress,
        base_topic: str,
        on_message: Callable[[Incoming], None],
        on_connection: Callable[[Connection], None],
    ) -> None:
        self.address = address
        self.base_topic = base_topic
        self.connection = Connection("connecting")
        self.first_attempt_ended = threading.Event()
        """Set once, when the first attempt has come to its end: subscribed, or lost."""
        self.refusals = Refusals()
        """Messages that broke the contract."""
        self.figures = BrokerFigures()
        self._refused = False
        self._probe_topic = protocol.topic(base_topic, FLEET, PROBE)
        self._on_message = on_message
        self._on_connection = on_connection
        # What makes a room comes first: most brokers send what is retained in the order of the subscriptions.
        leaves = sorted(
            (t for t in protocol.TOPICS if t.leaf in LEAVES), key=lambda t: t.leaf not in IDENTIFYING
        )
        topics = [
            *(Subscription(protocol.topic(base_topic, "+", t), t.qos) for t in leaves),
            Subscription(protocol.topic(base_topic, "+", "resp/+")),
            Subscription(self._probe_topic),
        ]
        client_id = f"roomtone-dashboard-{secrets.token_hex(6)}"
        options = ClientOptions(
            client_id,
            tuple(topics),
            # Few brokers let clients read their figures, and some close the connection on it.
            optional=tuple(Subscription(topic, 0) for topic in self.figures.topics()),
            probe_topic=protocol.probe_topic(base_topic, client_id),
            keepalive_s=KEEPALIVE_S,
        )
        self._client = Client(address, options, self._handle, Backoff(FIRST_DELAY_S, LONGEST_DELAY_S))
        self._requests: Requests[Response] = Requests(self._client.publish)

    def start(self) -> None:
        """Start the thread; return at once."""
        self._client.start()

    def stop(self) -> None:
        """Disconnect and end the thread; wait for at most half a second (a daemon thread delays nothing)."""
        self._client.stop(0.5)

    def send(self, node: str, verb: str, command: Command) -> bool:
        """Publish a command to a room; return whether there is a broker to take it."""
        name = protocol.topic(self.base_topic, node, f"cmd/{verb}")
        return self._client.publish(name, protocol.encode(command)) is not None

    def request(self, node: str, verb: str, command: Command) -> Future[Response]:
        """Publish a command; the device's response becomes the result. Raises `ConnectionError`."""
        name = protocol.topic(self.base_topic, node, f"cmd/{verb}")
        return self._requests.send(name, protocol.encode(command), (node, command.transaction))

    def request_echo(self) -> Future[Response]:
        """Publish a message to ourselves; it becomes the result when it comes back. Raises `ConnectionError`."""
        transaction = secrets.token_hex(8)
        return self._requests.send(self._probe_topic, transaction.encode("ascii"), (PROBE, transaction))

    def publish(self, leaf: str, payload: bytes, retain: bool = False) -> bool:
        """Publish below `B/fleet`, where no room can be; return whether there is a broker to take it."""
        name = protocol.topic(self.base_topic, FLEET, leaf)
        return self._client.publish(name, payload, retain=retain) is not None

    def _handle(self, event: Event) -> None:
        match event:
            case Connected(capabilities=capabilities):
                self._set(_connected(capabilities))
            case CapabilitiesChanged(capabilities):
                if self.connection.state == "connected" and not self._refused:
                    self._set(_connected(capabilities))
            case Subscribed(refused):
                self._refused = bool(refused)
                if refused:
                    detail = f"{len(refused)} subscriptions are refused: {refused[0][1].text}"
                    self._set(Connection("connected", detail, "subscriptions_refused"))
                self.first_attempt_ended.set()
            case Disconnected(reason):
                self._set(Connection("lost", reason.text, reason.code))
                self.first_attempt_ended.set()
            case Message():
                self._receive(event)

    def _receive(self, message: Message) -> None:
        if message.topic.startswith(ROOT):
            self.figures.add(message.topic, message.payload)
            return
        try:
            if message.topic == self._probe_topic:
                transaction = message.payload[:64].decode("ascii")
                self._requests.answered((PROBE, transaction), Response(transaction=transaction, ok=True))
                return
            if message.topic.rpartition("/")[0].endswith("/resp"):
                node, response = decode_response(self.base_topic, message.topic, message.payload)
                self._requests.answered((node, response.transaction), response)
                return
            incoming = decode(self.base_topic, message.topic, message.payload)
            if incoming is None:
                return
            if message.retain and incoming.leaf == protocol.EVENT.leaf:
                raise ContractError("a retained event: it would come again at every start")
        except (ContractError, UnicodeDecodeError) as error:
            self.refusals.add(self.base_topic, message.topic, str(error), time.time())
            log.debug("refused: %s", error)
        else:
            self._on_message(incoming)

    def _set(self, connection: Connection) -> None:
        if connection != self.connection:
            self.connection = connection
            self._on_connection(connection)
