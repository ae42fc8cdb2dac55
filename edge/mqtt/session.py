"""What a client asks of the broker: subscriptions, last will, session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PACKET_HEAD_BYTES: Final = 64
"""More than the fixed header, the packet's number and our properties of a PUBLISH take."""


@dataclass(frozen=True)
class Will:
    """The last will: what the broker publishes, retained, when the client vanishes."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Subscription:
    """A topic filter.

    `retained`: whether stored messages are wanted at the start. Without them the retain flag of live messages is kept,
    so that a stored command can be told from a live one (MQTT 5).
    `share`: the group that shares the messages, where the broker can do that (MQTT 5).
    """

    topic: str
    qos: int = 1
    retained: bool = True
    share: str = ""


@dataclass(frozen=True)
class ClientOptions:
    """How a client presents itself, and what it wants."""

    client_id: str
    subscriptions: tuple[Subscription, ...] = ()
    optional: tuple[Subscription, ...] = ()
    """Asked for once the others are answered, and not again where the broker closes the connection on it."""
    unsubscribe: tuple[str, ...] = ()
    """Topic filters that an earlier start may have left in the session."""
    will: Will | None = None
    session_expiry_s: int = 0
    """How long the broker keeps our session; 0: it ends with the connection."""
    manual_ack: bool = False
    """Messages are acknowledged by `Message.acknowledge` alone."""
    receive_maximum: int | None = None
    """How many unacknowledged messages the broker may send (MQTT 5)."""
    max_packet_bytes: int = 16_384
    """Larger messages are not taken: they are acknowledged and dropped."""
    probe_topic: str = ""
    """A topic of our own, below which it is found out whether the broker sends retained messages to subscriptions with
    a wildcard (`retained_probe`); empty: it is not."""
    keepalive_s: int | None = None
    """None: that of the address."""


@dataclass(frozen=True)
class Publish:
    """A message on its way to the broker; `number` comes back in `events.Acknowledged`."""

    number: int
    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None

    @property
    def packet_bytes(self) -> int:
        """An upper bound for the size of its packet."""
        return len(self.payload) + len(self.topic.encode()) + PACKET_HEAD_BYTES
