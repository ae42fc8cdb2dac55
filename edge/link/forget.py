"""`roomtone link --forget`: takes away all that this device has retained at the broker, before it is retired."""

from __future__ import annotations

import queue

from edge.config.settings import Config
from edge.link.state import published_names
from edge.mqtt.client import Broker
from edge.mqtt.events import BrokerEvent, Down, Taken, Up
from edge.util.errors import UserError

PATIENCE_S = 20.0


def forget(config: Config) -> list[str]:
    """Returns the topics that are empty now. Raises `UserError` when the broker cannot be reached."""
    events: queue.SimpleQueue[BrokerEvent] = queue.SimpleQueue()
    broker = Broker(config, None, (), events.put)
    broker.start()
    try:
        waiting: set[int | None] = set()
        topics = sorted(published_names.of(config).topics())
        while True:
            try:
                event = events.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise UserError("the broker has not answered; nothing is sure to be removed") from None
            if isinstance(event, Down):
                raise UserError(event.reason.text)
            if isinstance(event, Up):
                waiting = {broker.publish(name, b"", 1, True) for name in topics}
            if isinstance(event, Taken):
                if event.code >= 0x80:
                    raise UserError(f"the broker refuses the removal ({event.name})")
                waiting.discard(event.mid)
                if not waiting:
                    return topics
    finally:
        broker.stop()
