"""Encoding and validation of messages: JSON to struct and back. Decoding raises `ContractError`."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from edge.protocol.ear_link import (
    MAX_EAR_COMMAND_BYTES,
    MAX_REPORT_BYTES,
    MAX_SIGNAL_BYTES,
    EarCommand,
    EarMessage,
    LevelSignal,
    MicSignal,
    SpeechSignal,
)
from edge.protocol.messages import Event
from edge.util.text.patterns import in_words

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_ear_message = msgspec.json.Decoder(EarMessage)
_ear_command = msgspec.json.Decoder(EarCommand)
_event = msgspec.json.Decoder(Event)


class ContractError(ValueError):
    """A message is invalid; the text says why."""


def encode(message: Struct) -> bytes:
    """Encode a message as compact UTF-8 JSON."""
    return _encoder.encode(message)


def decode_ear_message(data: bytes) -> EarMessage:
    """Decode and validate a message of the ear. Raises `ContractError`."""
    if len(data) > MAX_REPORT_BYTES:
        raise ContractError(f"{len(data)} bytes, at most {MAX_REPORT_BYTES} are allowed")
    message: EarMessage = _decode(_ear_message, data)
    if isinstance(message, MicSignal | LevelSignal | SpeechSignal) and len(data) > MAX_SIGNAL_BYTES:
        raise ContractError(f"a signal of {len(data)} bytes, at most {MAX_SIGNAL_BYTES} are allowed")
    return message


def decode_ear_command(data: bytes) -> EarCommand:
    """Decode and validate a command of the link. Raises `ContractError`."""
    if len(data) > MAX_EAR_COMMAND_BYTES:
        raise ContractError(f"{len(data)} bytes, at most {MAX_EAR_COMMAND_BYTES} are allowed")
    message: EarCommand = _decode(_ear_command, data)
    return message


def decode_event(data: bytes) -> Event:
    """Decode and validate a published event. Raises `ContractError`."""
    return _decode(_event, data)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ContractError(in_words(error)) from None
    except UnicodeDecodeError:
        raise ContractError("not UTF-8") from None
