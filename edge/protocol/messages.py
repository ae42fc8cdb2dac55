"""The messages that are published over MQTT."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from edge.protocol.types import (
    LABELS,
    BootId,
    Count,
    Decibel,
    EventType,
    Label,
    LevelDecibel,
    Milliseconds,
    ModelName,
    MutedBy,
    NodeId,
    Sha256,
    Share,
    Signed,
    Timestamp,
    Ulid,
    VersionText,
)
from edge.util.text.patterns import pattern

PROTOCOL: Final = 1
SMALL_COUNT: Final = 2**24
SmallCount = Annotated[int, Meta(ge=0, le=SMALL_COUNT)]


class Probabilities(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The probability of each label in hundredths; they sum to 1."""

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
    """ULID assigned by the link, by which a subscriber detects duplicates."""
    boot: BootId
    """Changes when the device is started; a restart of ear or link does not change it."""
    seq: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Sequence number within one `boot`, from 1 without gaps."""
    event_type: EventType
    confidence: Share
    """Calibrated probability of `event_type`; where it is `uncertain`, of the most likely emotion."""
    probabilities: Probabilities
    arousal: Signed | UnsetType = UNSET
    """-1 (far calmer than is usual in this room) through 0 (as usual) to 1 (far more agitated), in steps of 0.05.
    Absent: not known."""
    started_at: Timestamp
    """Start of the speech (UTC)."""
    duration_ms: Milliseconds
    """Length of the speech without the hang-over, in blocks of 32 ms."""
    snr_db: Decibel
    """Level of the speech above the noise of the room, in whole dB."""
    level_dbfs: Decibel
    """RMS level of the speech, in whole dB of full scale."""
    model: ModelName
    latency_ms: Milliseconds
    """Time from the detected end of speech to the finished event."""
    clock: Literal["unsynced"] | UnsetType = UNSET
    """Present only while the clock of the device is not synchronised: use the time of arrival, not `started_at`."""
    repeated: Literal[True] | UnsetType = UNSET
    """Present only where the event is published again, for a recorder that has missed it: it is not news."""


class EarHealth(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Health of the ear, once a minute; the link adds its own and publishes `B/N/health`."""

    frames: Annotated[int, Meta(ge=0, le=2**36)]
    """Blocks of sound (32 ms) since its start."""
    overruns: SmallCount
    utterances: SmallCount
    inference_p50_ms: Annotated[int, Meta(ge=0, le=60_000)]
    inference_p95_ms: Annotated[int, Meta(ge=0, le=60_000)]
    rss_mb: Annotated[int, Meta(ge=0, le=16_384)]
    dropped: SmallCount
    """Utterances that the ear dropped because no link acknowledged them."""
    baseline_utterances: SmallCount | None = None
    """Utterances in the baseline of this room; null where there is no baseline."""
    level_dbfs: LevelDecibel | None = None
    """Level of the room in the last half second, in dB of full scale; null while the microphone is closed."""


class Health(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/health`, QoS 0, every 60 s. Unknown values are left out."""

    clock: Literal["synced", "unsynced"]
    uptime_s: Count
    spool: Count
    """Events that are not delivered yet."""
    drops: Count
    reconnects: Count
    rejected: Count
    """Invalid messages of the ear."""
    link_rss_mb: Annotated[float, Meta(ge=0, le=1e6)]
    temperature_c: Annotated[float, Meta(ge=-60, le=200)] | None = None
    certificate_expires: Timestamp | None = None
    """When the client certificate of this device expires; left out without one."""
    ear: EarHealth | None = None


class MicFormat(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Format of the microphone before its conversion to 16 kHz and one channel."""

    rate_hz: Annotated[int, Meta(ge=1000, le=768_000, multiple_of=25)]
    channels: Annotated[int, Meta(ge=1, le=64)]
    used: Annotated[
        str, pattern(r"^(mean|loudest|[1-9]|[1-5]\d|6[0-4])\Z", "mean, loudest or a number from 1 to 64")
    ] = "mean"
    """What is used of the channels: their mean, the loudest one, or the number of one."""


class ModelInfo(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Model, runtime and version of the ear; part of `B/N/info`."""

    model: ModelName
    model_sha256: Sha256
    feature_spec_sha256: Sha256
    runtime: Annotated[str, pattern(r"^[a-z0-9 ._-]{1,40}\Z", "1 to 40 of a-z, 0-9, space, `.`, `_` and `-`")]
    vad: Literal["silero", "webrtc"]
    ear_version: VersionText
    config_sha256: Sha256 | None
    """Hash of the configuration; null where ear and link have read different ones."""
    mic: MicFormat | None = None
    """Null while it is not open, and for a playback."""


class LastEvent(Struct, frozen=True, forbid_unknown_fields=True):
    """The last event that a device has numbered, by which a missing tail is noticed."""

    boot: BootId
    seq: Count
    """0: none yet."""


class Info(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/info`, QoS 1, retained."""

    node: NodeId
    name: Annotated[str, Meta(max_length=64)]
    """Display name of the room; never used in a topic."""
    version: VersionText
    labels: tuple[Label, ...] = LABELS
    ear: ModelInfo | None = None
    last_event: LastEvent | None = None
    """At most a minute old."""


class MuteReasons(Struct, frozen=True, forbid_unknown_fields=True):
    """Why the microphone is closed (retained)."""

    muted_by: tuple[MutedBy, ...] = ()
    """Empty: it may be open."""


class Speech(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/speech`, QoS 1, not retained: speech begins or ends."""

    speaking: bool
    since: Timestamp
    """When it changed (UTC)."""
    repeated: bool = False
    """True where nothing has changed: it is published again for new subscribers."""


class Level(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/level`, QoS 0, twice a second while it was requested with `cmd/level_on`."""

    dbfs: Decibel
    speech: bool


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/state`: the smoothed emotion of the room, on change and every 60 s."""

    emotion: EventType
    confidence: Share
    since: Timestamp
    model: ModelName
    arousal: Signed | None = None
    """Mean of the last utterances: -1 (calmer than is usual here) to 1 (more agitated); null: nothing lately."""
    agitated: bool = False
    """Whether an episode is under way: several utterances more agitated than is usual in this room."""


class Episode(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/episode`, QoS 1, not retained: an episode of agitation has started or ended."""

    v: Literal[1] = PROTOCOL
    event_type: Literal["started", "ended"]
    started_at: Timestamp
    """When it started (UTC)."""
    peak: Signed
    """Highest mean arousal so far."""
    model: ModelName
    interrupted: Literal[True] | UnsetType = UNSET
    """Present only where it ended because the device was stopped: the message may come much later than the stop."""


UpdateState = Literal["idle", "checking", "downloading", "unpacking", "validating", "switching", "probation"]


class ModelStatus(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Topic `B/N/model`, QoS 1, retained: the model and the progress of an update, as Home Assistant expects it."""

    installed_version: Annotated[str, Meta(max_length=32)]
    latest_version: Annotated[str, Meta(max_length=32)]
    """The newest version offered to this device; the installed one where none is newer."""
    in_progress: bool = False
    update_percentage: Annotated[int, Meta(ge=0, le=100)] | None = None
    state: UpdateState = "idle"
    error: Annotated[str, Meta(max_length=300)] = ""
    """The last error; empty for none."""
    model: Annotated[str, Meta(max_length=64)] = ""
    release: Count = 0
    """Number of the release that runs; 0 for the model of the package."""
    refused: Count = 0
    """Number of the last release that was refused or rolled back; 0 for none."""


class Announcement(Struct, frozen=True, kw_only=True):
    """Topic `B/fleet/announce`, QoS 1, retained: a hint to check for releases soon; nothing in it is trusted."""

    timestamp_version: Count
