"""What a connection to the broker tells of, as plain events; and the will that it leaves there."""

from __future__ import annotations

from dataclasses import dataclass

from edge.mqtt.reason_codes import Reason


@dataclass(frozen=True)
class Up:
    """Connected. `session_present`: the broker still knows us and our subscriptions."""

    session_present: bool
    version: str


@dataclass(frozen=True)
class Down:
    """Not connected, or no longer; the next attempt comes by itself."""

    reason: Reason


@dataclass(frozen=True)
class Taken:
    """The answer to a QoS 1 message: its number, and the reason code (0 below 3.1.1's knowledge)."""

    mid: int
    code: int
    name: str


@dataclass(frozen=True)
class Incoming:
    """A message for us. `queued`: it waited at the broker while we were away."""

    topic: str
    payload: bytes
    retain: bool
    queued: bool


BrokerEvent = Up | Down | Taken | Incoming


@dataclass(frozen=True)
class Will:
    """What the broker says of us when we vanish: QoS 1, retained."""

    topic: str
    payload: bytes
