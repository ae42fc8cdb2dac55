"""What a client reports, as plain values: the state of its connection, acknowledgements and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.mqtt.reason_codes import Reason
from edge.mqtt.reconnect import Version


class State(StrEnum):
    """Where a client stands."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    """The broker has accepted CONNECT; messages can be published."""
    READY = "ready"
    """It has answered SUBSCRIBE, too: messages arrive."""
    WAITING = "waiting"
    """Not connected; the next attempt comes by itself."""


LARGEST_BYTES: Final = 16_384
"""No message of Roomtone is larger, unless topics are very long: the announcement to Home Assistant has 12 KB."""


@dataclass(frozen=True)
class Capabilities:
    """What the broker can do, by its CONNACK; the defaults are those of MQTT 5, and of 3.1.1, which says nothing."""

    retain: bool = True
    max_qos: int = 2
    shared_subscriptions: bool = True
    wildcard_subscriptions: bool = True
    retained_at_wildcards: bool = True
    """Whether a new subscription with a wildcard gets retained messages; found out by `retained_probe`."""
    max_packet_bytes: int = 2**28
    receive_maximum: int = 65_535
    keepalive_s: int | None = None
    """What the broker asks for; None: our own."""

    def missing(self) -> str:
        """One line for what a broker lacks that Roomtone uses; empty when nothing is missing."""
        lacks = [
            text
            for given, text in (
                (self.retain, "retained messages (new subscribers see no state)"),
                (
                    self.retained_at_wildcards,
                    "retained messages at subscriptions with a wildcard (new subscribers see no state)",
                ),
                (self.max_qos > 0, "QoS 1 (events can be lost)"),
                (
                    self.wildcard_subscriptions,
                    "wildcard subscriptions (all rooms cannot be followed at once)",
                ),
                (self.max_packet_bytes >= LARGEST_BYTES, f"messages over {self.max_packet_bytes} bytes"),
            )
            if not given
        ]
        return f"the broker lacks {', and '.join(lacks)}" if lacks else ""


@dataclass(frozen=True)
class Connected:
    """The broker has accepted the connection. `session_present`: it still knows us and our subscriptions."""

    session_present: bool
    version: Version
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True)
class CapabilitiesChanged:
    """More is known of the broker than it has said itself; reported while connected, by a thread of its own."""

    capabilities: Capabilities


@dataclass(frozen=True)
class Subscribed:
    """The broker has answered SUBSCRIBE; `refused` holds each topic filter that it does not allow, and why."""

    refused: tuple[tuple[str, Reason], ...] = ()


@dataclass(frozen=True)
class Disconnected:
    """Not connected, or no longer; the next attempt comes by itself after `delay_s` seconds."""

    reason: Reason
    delay_s: float
    was_connected: bool
    repeated: bool = False
    """The same reason as before, without a connection in between: not worth another line in the log."""


@dataclass(frozen=True)
class Acknowledged:
    """The broker's answer to a published message: the number that `publish` returned, and the reason code.

    With QoS 0, and on MQTT 3.1.1, the code is always 0.
    """

    number: int
    code: int
    name: str
    topic: str


def _nothing() -> None:
    return


@dataclass(frozen=True)
class Message:
    """A message for us. `queued`: it waited at the broker while we were away."""

    topic: str
    payload: bytes
    retain: bool
    queued: bool = False
    acknowledge: Callable[[], None] = _nothing
    """Where the client was told `manual_ack`: to be called, from any thread, when the message is dealt with."""


Event = Connected | CapabilitiesChanged | Subscribed | Disconnected | Acknowledged | Message
