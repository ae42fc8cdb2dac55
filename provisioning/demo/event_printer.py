"""An MQTT subscriber that prints each event as one line and counts them for the summary."""

from __future__ import annotations

import secrets
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime

import msgspec

from edge import protocol
from edge.mqtt.address import BrokerAddress
from edge.mqtt.client import Client
from edge.mqtt.events import Event as ClientEvent
from edge.mqtt.events import Message, Subscribed
from edge.mqtt.reconnect import Backoff
from edge.mqtt.session import ClientOptions, Subscription
from edge.protocol import ContractError, Event

_COLOURS = {
    "neutral": 37,
    "happy": 33,
    "sad": 34,
    "angry": 31,
    "fearful": 35,
    "disgust": 32,
    "surprised": 36,
    "uncertain": 90,
}


def format_event(room: str, event: Event, *, colour: bool) -> str:
    """Format an event as `10:00:00  Kitchen  angry  81 %  ########..  2.3 s`, in local time."""
    when = datetime.fromisoformat(event.started_at).astimezone().strftime("%H:%M:%S")
    bar = "█" * round(event.confidence * 10)
    label = f"{event.event_type:<9}"
    if colour:
        label = f"\x1b[1;{_COLOURS[event.event_type]}m{label}\x1b[0m"
    return (
        f"{when}  {room:<28.28}  {label}  {event.confidence:4.0%}  {bar:░<10}  "
        f"{event.duration_ms / 1000:4.1f} s  {event.level_dbfs:5.0f} dBFS"
    )


class EventPrinter:
    """Subscribes to the events of all rooms. Everything that it counts has come back from the broker."""

    def __init__(self, port: int, base_topic: str, names: Mapping[str, str], *, as_json: bool) -> None:
        self._names = names
        self._as_json = as_json
        self._colour = not as_json and sys.stdout.isatty()
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._seqs: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.malformed = 0
        self.connected = threading.Event()
        wanted = Subscription(protocol.topic(base_topic, "+", protocol.EVENT))
        options = ClientOptions(f"roomtone-demo-{secrets.token_hex(4)}", (wanted,))
        self._client = Client(
            BrokerAddress("127.0.0.1", port), options, self._handle, Backoff(first_s=1.0, cap_s=5.0)
        )
        self._client.start()

    def _handle(self, event: ClientEvent) -> None:
        match event:
            case Subscribed():
                self.connected.set()
            case Message():
                self._receive(event)

    def _receive(self, message: Message) -> None:
        node = message.topic.split("/")[-2]
        try:
            event = protocol.decode_event(message.payload)
        except ContractError:
            self.malformed += 1
            return
        with self._lock:
            if event.id in self._ids:
                return
            self._ids.add(event.id)
            self._seqs[node, event.boot].add(event.seq)
            self.counts[node][event.event_type] += 1
        if self._as_json:
            line = msgspec.json.encode({"node": node, "event": event}).decode()
        else:
            line = format_event(self._names.get(node, node), event, colour=self._colour)
        print(line, flush=True)

    def received(self) -> int:
        """Return the number of distinct events so far."""
        with self._lock:
            return len(self._ids)

    def missing(self) -> int:
        """Return how many events are missing, by gaps in `seq`."""
        with self._lock:
            return sum(max(seqs) - len(seqs) for seqs in self._seqs.values())

    def close(self) -> None:
        """Disconnect from the broker."""
        self._client.stop()
