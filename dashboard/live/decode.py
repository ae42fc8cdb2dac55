"""From a topic and bytes of the broker to a checked message; everything else is refused.

Every client that may publish can publish anything, so nothing is used before it has been decoded here.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from edge import protocol
from edge.protocol import (
    Availability,
    ContractError,
    Event,
    Health,
    Info,
    Level,
    MicState,
    ModelStatus,
    MuteReasons,
    Response,
    State,
)
from edge.util.text.patterns import in_words

MAX_BYTES: Final = 4096
"""Four times the largest message of the contract; larger ones are not even parsed."""

Message = Event | State | Level | Health | Info | ModelStatus | MuteReasons | str | None
"""`str` is a microphone state or an availability; `None`: its availability was cleared, the room is gone."""

_NODE = re.compile(r"[a-z0-9_-]{1,64}")
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    protocol.EVENT.leaf: msgspec.json.Decoder(Event),
    protocol.STATE.leaf: msgspec.json.Decoder(State),
    protocol.LEVEL.leaf: msgspec.json.Decoder(Level),
    protocol.HEALTH.leaf: msgspec.json.Decoder(Health),
    protocol.INFO.leaf: msgspec.json.Decoder(Info),
    protocol.MODEL.leaf: msgspec.json.Decoder(ModelStatus),
    protocol.MUTED_BY.leaf: msgspec.json.Decoder(MuteReasons),
}
_words: dict[str, Any] = {protocol.MIC.leaf: MicState, protocol.AVAILABILITY.leaf: Availability}

LEAVES: Final = frozenset(_decoders) | frozenset(_words)
"""The last levels of the topics that `decode` reads."""
IDENTIFYING: Final = frozenset(
    topic.leaf for topic in (protocol.INFO, protocol.EVENT, protocol.STATE, protocol.HEALTH)
)
"""Topics whose messages only a device publishes: what is required of them no other program publishes by chance.

The others are short, as `online` and `ok`, or of the kind that Home Assistant expects of every device (`model`).
"""


_CLEARED: Final = frozenset(
    topic.leaf for topic in (protocol.INFO, protocol.MIC, protocol.MUTED_BY, protocol.MODEL, protocol.STATE)
)
"""Retained topics that a device clears when it is renamed or removed; its availability says that it is gone."""


class Incoming(NamedTuple):
    """A valid message of a device: its node id, the last level of its topic, and the decoded payload."""

    node: str
    leaf: str
    message: Message


_response = msgspec.json.Decoder(Response)


def decode_response(base: str, topic: str, payload: bytes) -> tuple[str, Response]:
    """Return the room and its response to a command, from `B/N/resp/<verb>`. Raises `ContractError`."""
    node = topic[len(base) + 1 :].partition("/")[0]
    if not topic.startswith(f"{base}/{node}/resp/") or _NODE.fullmatch(node) is None:
        raise ContractError(f"not a topic of a room: {topic[:100]!r}")
    if len(payload) > MAX_BYTES:
        raise ContractError(f"{len(payload)} bytes, at most {MAX_BYTES} are read")
    try:
        return node, _response.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"answer: {in_words(error)}") from None


def decode(base: str, topic: str, payload: bytes) -> Incoming | None:
    """Decode and validate a message of a device by its topic; None: it only clears a retained topic.

    Raises `ContractError`.
    """
    prefix, _, leaf = topic.rpartition("/")
    if not payload and leaf in _CLEARED:
        return None
    node = prefix[len(base) + 1 :]
    if not prefix.startswith(f"{base}/") or _NODE.fullmatch(node) is None:
        raise ContractError(f"not a topic of a room: {topic[:100]!r}")
    if len(payload) > MAX_BYTES:
        raise ContractError(f"{len(payload)} bytes, at most {MAX_BYTES} are read")
    if leaf == protocol.AVAILABILITY.leaf and not payload:
        return Incoming(node, leaf, None)
    try:
        if leaf in _words:
            return Incoming(node, leaf, msgspec.convert(payload.decode("ascii"), _words[leaf]))
        if leaf in _decoders:
            message = _decoders[leaf].decode(payload)
            if isinstance(message, Info) and message.node != node:
                raise ContractError(f"info of another node, {message.node}")
            return Incoming(node, leaf, message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"{leaf}: {in_words(error)}") from None
    raise ContractError(f"unknown topic {leaf[:40]!r}")
