"""The recorder's connection to the broker, which keeps the session and every event that is not acknowledged.

Several recorders share one subscription where the broker can do that (MQTT 5).
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import Final

from edge import protocol
from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import Connected, Disconnected, Event, Message, Subscribed
from edge.mqtt.reconnect import Backoff
from edge.mqtt.session import ClientOptions, Subscription

log = logging.getLogger(__name__)

SESSION_S: Final = 7 * 86_400
"""How long the broker keeps events for a recorder that is away."""
IN_FLIGHT: Final = 2000
"""How many unwritten messages the broker may send; its own `max_inflight_messages` may be lower."""
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 10.0


class Session:
    """The recorder's persistent MQTT session; messages in `arrived` wait at the broker until acknowledged."""

    def __init__(self, address: BrokerAddress, base_topic: str, name: str, share: str) -> None:
        self.arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.connected = threading.Event()
        self.subscribed = threading.Event()
        """Set once, when the broker has accepted the first subscription: from then on it keeps what comes."""
        self.event_arrived = threading.Event()
        """Set once, when an event has come: the broker knows the subscription, from an earlier session."""
        self._refused = ""
        self._events = protocol.topic(base_topic, "+", protocol.EVENT)
        client_id = f"roomtone-recorder-{name}"
        options = ClientOptions(
            client_id,
            (
                Subscription(self._events, share=share),
                Subscription(protocol.topic(base_topic, "+", protocol.INFO)),
                Subscription(protocol.topic(base_topic, "+", protocol.AVAILABILITY)),
            ),
            session_expiry_s=SESSION_S,
            manual_ack=True,
            receive_maximum=IN_FLIGHT,
            probe_topic=protocol.probe_topic(base_topic, client_id),
        )
        self._client = Client(address, options, self._handle, Backoff(FIRST_DELAY_S, LONGEST_DELAY_S))

    def start(self) -> None:
        """Start the thread; return at once."""
        self._client.start()

    def stop(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._client.stop(1.0)

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send a command; return whether there is a broker to take it."""
        return self._client.publish(topic, payload) is not None

    def problem(self) -> str:
        """Return why nothing is recorded, in one line."""
        reason = self._client.last_reason
        return self._refused or (reason.text if reason else "the broker has not answered yet")

    def _handle(self, event: Event) -> None:
        match event:
            case Connected():
                self.connected.set()
            case Subscribed(refused):
                # Without names and availability it still records; without events it does not.
                self._refused = next((reason.text for topic, reason in refused if topic == self._events), "")
                if not self._refused:
                    self.subscribed.set()
            case Disconnected():
                self.connected.clear()
            case Message():
                if event.topic.endswith(f"/{protocol.EVENT.leaf}"):
                    self.event_arrived.set()
                self.arrived.put(event)
