"""The contract that everything shares: every message between ear, link, broker and subscriber.

Its types (`edge.protocol.types`), commands (`edge.protocol.commands`) and topics (`edge.protocol.topics`) can be
imported from here, too.
All structs are frozen and refuse unknown keys; decoding raises
`msgspec.ValidationError` (wrong shape or value) or `msgspec.DecodeError` (not JSON).
JSON has no NaN or infinity, so no such number can pass in either direction.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.protocol.commands import Command, Response
from edge.protocol.topics import (
    AVAILABILITY,
    EVENT,
    HEALTH,
    INFO,
    LEVEL,
    MIC,
    MODEL,
    STATE,
    TOPICS,
    Topic,
    announce_topic,
    topic,
)
from edge.protocol.types import (
    LABELS,
    UNCERTAIN,
    Availability,
    BootId,
    Count,
    Decibel,
    EventType,
    Label,
    MicState,
    Milliseconds,
    ModelName,
    NodeId,
    Sha256,
    Share,
    Signed,
    Timestamp,
    Ulid,
    VersionText,
)

PROTOCOL: Final = 1

# Limits of the socket between ear and link, in bytes and in messages. A second of speech is 32,000 bytes, or 8,000 as
# on a telephone line: what the socket lets through is a fraction of that, and its schema leaves no room for sound.
MAX_REPORT_BYTES: Final = 1024
MAX_SIGNAL_BYTES: Final = 64
MAX_EAR_COMMAND_BYTES: Final = 256
REPORTS_PER_SECOND: Final = 2.0
REPORTS_BURST: Final = 10
SIGNALS_PER_SECOND: Final = 4.0
SIGNALS_BURST: Final = 8


class Probabilities(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One share for each label; they sum to about 1 (rounded to three digits)."""

    neutral: Share
    happy: Share
    sad: Share
    angry: Share
    fearful: Share
    disgust: Share
    surprised: Share


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One utterance: topic `B/N/event`, QoS 1, not retained, at most 1 KiB."""

    v: Literal[1] = PROTOCOL
    id: Ulid
    """ULID made by the ear: makes at-least-once delivery exactly once."""
    boot: BootId
    """Changes with every start of the ear."""
    seq: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Counts without gaps within one `boot`, from 1."""
    event_type: EventType
    confidence: Share
    """Calibrated probability of `event_type`; where it is `uncertain`, of the most likely emotion."""
    probabilities: Probabilities
    arousal: Signed | UnsetType = UNSET
    """-1 (far calmer than is usual in this room) through 0 (as usual) to 1 (far more agitated); absent: not known."""
    started_at: Timestamp
    """UTC, when the speech began."""
    duration_ms: Milliseconds
    """Length of the speech without the hang-over."""
    snr_db: Decibel
    """Level of the speech above that of the room before it."""
    level_dbfs: Decibel
    """RMS level of the speech, full scale = 0."""
    model: ModelName
    latency_ms: Milliseconds
    """From the decision that the speech has ended to the finished event, on the device."""
    clock: Literal["unsynced"] | UnsetType = UNSET
    """Only while the device does not know the time: `started_at` is then wrong, and your time of arrival is better."""


class EarHealth(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the ear knows of itself, once a minute; the link adds its own part and publishes `B/N/health`."""

    frames: Count
    overruns: Count
    utterances: Count
    inference_p50_ms: Annotated[float, Meta(ge=0, le=1e6)]
    inference_p95_ms: Annotated[float, Meta(ge=0, le=1e6)]
    rss_mb: Annotated[float, Meta(ge=0, le=1e6)]
    dropped: Count
    """Events that the ear had to drop because no link took them."""
    baseline_utterances: Count | None = None
    """Utterances that the mean of this room has heard; null: not adapted to the room."""


class Health(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/health`, QoS 0, every 60 s. What is not known yet is left out."""

    clock: Literal["synced", "unsynced"]
    uptime_s: Count
    spool: Count
    """Events that wait for the broker."""
    drops: Count
    reconnects: Count
    rejected: Count
    """Messages from the ear that broke the contract."""
    link_rss_mb: Annotated[float, Meta(ge=0, le=1e6)]
    temperature_c: Annotated[float, Meta(ge=-60, le=200)] | None = None
    certificate_expires: Timestamp | None = None
    """When the certificate ends with which this device proves who it is; left out without one."""
    ear: EarHealth | None = None


class MicFormat(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the microphone gives. Other rates than 16 kHz are converted (soxr), several channels become their mean."""

    rate_hz: Annotated[int, Meta(ge=1, le=1_000_000)]
    channels: Annotated[int, Meta(ge=1, le=1024)]


class ModelInfo(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which model the ear runs, and on what; part of `B/N/info`."""

    model: ModelName
    model_sha256: Sha256
    feature_spec_sha256: Sha256
    runtime: Annotated[str, Meta(pattern=r"^[a-z0-9 ._-]{1,40}\Z")]
    vad: Literal["silero", "webrtc"]
    ear_version: VersionText
    config_sha256: Sha256
    mic: MicFormat | None = None
    """Null: not opened yet, or recordings are played in its place."""


class Info(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/info`, QoS 1, retained."""

    node: NodeId
    name: Annotated[str, Meta(max_length=64)]
    """What people call the room; never used in a topic."""
    version: VersionText
    labels: tuple[Label, ...] = LABELS
    ear: ModelInfo | None = None


class Level(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/level`, QoS 0, twice a second while somebody asked for it."""

    dbfs: Decibel
    speech: bool


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/state`: the smoothed emotion of the room, on change and every 60 s."""

    emotion: EventType
    confidence: Share
    since: Timestamp
    model: ModelName


UpdateState = Literal["idle", "checking", "downloading", "unpacking", "validating", "switching", "probation"]


class ModelStatus(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/model`, QoS 1, retained: the model, and what becomes of a new one. Home Assistant reads it so."""

    installed_version: Annotated[str, Meta(max_length=32)]
    latest_version: Annotated[str, Meta(max_length=32)]
    """Of what is meant for this box; the installed one where nothing newer is known."""
    in_progress: bool = False
    update_percentage: Annotated[int, Meta(ge=0, le=100)] | None = None
    state: UpdateState = "idle"
    error: Annotated[str, Meta(max_length=300)] = ""
    """What went wrong last; empty: nothing."""
    model: Annotated[str, Meta(max_length=64)] = ""
    release: Count = 0
    """Number of the release that runs; 0: the model that came with the package."""
    refused: Count = 0
    """Number of the last release that was refused or rolled back here; 0: none."""


# --- the socket, upwards: ear -> link ---


class EventReport(Struct, frozen=True, forbid_unknown_fields=True, tag="event", tag_field="t"):
    """At most 1 KiB; kept by the ear until acknowledged."""

    event: Event


class HealthReport(Struct, frozen=True, forbid_unknown_fields=True, tag="health", tag_field="t"):
    """At most 1 KiB; not acknowledged."""

    health: EarHealth


class InfoReport(Struct, frozen=True, forbid_unknown_fields=True, tag="info", tag_field="t"):
    """At most 1 KiB; the first message on every connection, and again when the microphone gives another format."""

    info: ModelInfo


class PredictionCountsReport(
    Struct, frozen=True, forbid_unknown_fields=True, tag="prediction_counts", tag_field="t", kw_only=True
):
    """At most 1 KiB; what a model has said so far without adaptation to the room: counts, nothing of any utterance."""

    model_sha256: Sha256
    utterances: Count
    uncertain: Count
    labels: Annotated[tuple[Count, ...], Meta(min_length=7, max_length=7)]
    """How often each label was the most likely, in the order of `LABELS`."""
    p50_ms: Annotated[float, Meta(ge=0, le=1e6)]


class MicSignal(Struct, frozen=True, forbid_unknown_fields=True, tag="mic", tag_field="t"):
    """At most 64 bytes; on every change and on every connection."""

    state: MicState


class LevelSignal(Struct, frozen=True, forbid_unknown_fields=True, tag="level", tag_field="t"):
    """At most 64 bytes; twice a second while the link asked for it."""

    dbfs: Decibel
    speech: bool


Report = EventReport | HealthReport | InfoReport | PredictionCountsReport
Signal = MicSignal | LevelSignal
EarMessage = Report | Signal

# --- the socket, downwards: link -> ear ---


class Ack(Struct, frozen=True, forbid_unknown_fields=True, tag="ack", tag_field="t"):
    """The event is at the broker or on disk: the ear may forget it."""

    id: Ulid


class Mute(Struct, frozen=True, forbid_unknown_fields=True, tag="mute", tag_field="t"):
    """Close the microphone."""


class Unmute(Struct, frozen=True, forbid_unknown_fields=True, tag="unmute", tag_field="t"):
    """Open it again, unless it was muted at the device."""


class LevelOn(Struct, frozen=True, forbid_unknown_fields=True, tag="level_on", tag_field="t"):
    """Send the level twice a second for so long; 0 ends it."""

    seconds: Annotated[int, Meta(ge=0, le=60)]


class Restart(Struct, frozen=True, forbid_unknown_fields=True, tag="restart", tag_field="t"):
    """End the process in good order; the service manager starts it again."""


class ReloadModel(Struct, frozen=True, forbid_unknown_fields=True, tag="reload_model", tag_field="t"):
    """Look into the store of models, and run what it says is current. Which one is not the link's to say here."""


EarCommand = Ack | Mute | Unmute | LevelOn | Restart | ReloadModel


class Announcement(Struct, frozen=True, kw_only=True):
    """Topic `B/fleet/announce`, QoS 1, retained: look for models soon. It carries no trust, only a hint."""

    timestamp_version: Count


# --- checking ---

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_upward = msgspec.json.Decoder(EarMessage)
_downward = msgspec.json.Decoder(EarCommand)
_event = msgspec.json.Decoder(Event)


class ContractError(ValueError):
    """A message breaks the contract; the text says how."""


def encode(message: Struct) -> bytes:
    """Any message as compact UTF-8 JSON."""
    return _encoder.encode(message)


def decode_ear_message(data: bytes) -> EarMessage:
    """A message of the ear, checked against schema and size. Raises `ContractError`."""
    if len(data) > MAX_REPORT_BYTES:
        raise ContractError(f"{len(data)} bytes, at most {MAX_REPORT_BYTES} are allowed")
    message: EarMessage = _decode(_upward, data)
    if isinstance(message, MicSignal | LevelSignal) and len(data) > MAX_SIGNAL_BYTES:
        raise ContractError(f"a signal of {len(data)} bytes, at most {MAX_SIGNAL_BYTES} are allowed")
    return message


def decode_ear_command(data: bytes) -> EarCommand:
    """A message of the link, checked against schema and size. Raises `ContractError`."""
    if len(data) > MAX_EAR_COMMAND_BYTES:
        raise ContractError(f"{len(data)} bytes, at most {MAX_EAR_COMMAND_BYTES} are allowed")
    message: EarCommand = _decode(_downward, data)
    return message


def decode_event(data: bytes) -> Event:
    """An event as published. Raises `ContractError`."""
    return _decode(_event, data)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ContractError(str(error)) from None
    except UnicodeDecodeError:
        raise ContractError("not UTF-8") from None
