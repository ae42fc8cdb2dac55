"""The messages of the socket between ear and link, and their limits."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.protocol.messages import (
    EarHealth,
    MicFormat,
)
from edge.protocol.types import (
    Count,
    EventType,
    LevelDecibel,
    MicState,
    MutedBy,
    Percent,
    SessionId,
    Sha256,
    SnrDecibel,
    VersionText,
)

# Limits of the socket between ear and link, in bytes and in messages. A second of speech is 32,000 bytes, or 8,000 in
# telephone quality: the limits are a fraction of that, and the schema has no field that could carry sound.
MAX_REPORT_BYTES: Final = 1024
MAX_SIGNAL_BYTES: Final = 128
MAX_EAR_COMMAND_BYTES: Final = 256
REPORTS_PER_SECOND: Final = 2.0
REPORTS_BURST: Final = 10
UTTERANCES_PER_SECOND: Final = 0.5
"""Utterances in the long run, in a second of real time; people speak fewer."""
UTTERANCES_BURST: Final = 60
SIGNALS_PER_SECOND: Final = 4.0
SIGNALS_BURST: Final = 8

RESTART_GRACE_S: Final = 15.0
"""How long ear and link wait for the other one, which may be restarting, before they report it as missing."""

# --- the socket: messages of the ear to the link ---

BLOCK_MS: Final = 32
"""Unit of the times of an utterance: one block of sound."""
AROUSAL_STEPS: Final = 20
"""Arousal is a whole number of twentieths."""
LATENCY_STEP_MS: Final = 10


class UtteranceValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the ear says of one utterance: whole numbers within bounds, nothing else (docs/privacy.md counts the bits).

    The link makes the published event of them (`edge.link.delivery.canonical`).
    """

    event_type: EventType
    shares: tuple[Percent, Percent, Percent, Percent, Percent, Percent, Percent]
    """Probability of each label in percent, in the order of `LABELS`; they sum to 100."""
    arousal: Annotated[int, Meta(ge=-AROUSAL_STEPS, le=AROUSAL_STEPS)] | None = None
    started: Count
    """Start of the speech, in units of `BLOCK_MS` of CLOCK_MONOTONIC, which ear and link share."""
    length: Annotated[int, Meta(ge=0, le=60_000 // BLOCK_MS)]
    """Length of the speech, in units of `BLOCK_MS` of sound."""
    snr_db: SnrDecibel
    level_dbfs: LevelDecibel
    latency: Annotated[int, Meta(ge=0, le=255)]
    """Time from the detected end of speech to the result, in units of `LATENCY_STEP_MS`."""

    def __post_init__(self) -> None:
        """Check the sum of the shares. Raises `ValueError`."""
        if sum(self.shares) != 100:
            raise ValueError("the shares do not sum to 100")


class UtteranceReport(Struct, frozen=True, forbid_unknown_fields=True, tag="utterance", tag_field="t"):
    """One utterance; the ear keeps it until it is acknowledged."""

    n: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Counts the utterances of a session, from 1 without gaps; checked by the link and not published."""
    values: UtteranceValues


class HealthReport(Struct, frozen=True, forbid_unknown_fields=True, tag="health", tag_field="t"):
    """Health of the ear; not acknowledged."""

    health: EarHealth


class EarInfo(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the ear runs. The link publishes its own knowledge of it: names and versions are looked up, not copied."""

    model_sha256: Sha256
    """The link looks the model up by it, among those that are installed."""
    runtime: Literal["litert", "tflite-runtime"]
    vad: Literal["silero", "webrtc"]
    ear_version: VersionText
    """Compared with the version of the link."""
    config_sha256: Sha256
    """Compared with the configuration of the link."""
    mic: MicFormat | None = None
    """Null while it is not open, and for a playback."""


class InfoReport(Struct, frozen=True, forbid_unknown_fields=True, tag="info", tag_field="t"):
    """Description of the ear: the first message of a connection, and again on every change."""

    info: EarInfo
    session: SessionId
    """Random; which utterances the numbers `n` count. Compared with the last one, and not published."""
    first: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """The first number that no link has acknowledged, for a link that does not know the session; not published."""


class PredictionCountsReport(
    Struct, frozen=True, forbid_unknown_fields=True, tag="prediction_counts", tag_field="t", kw_only=True
):
    """Counts of a model's predictions without the baseline; not published, they decide a probation."""

    model_sha256: Sha256
    utterances: Count
    uncertain: Count
    labels: Annotated[tuple[Count, ...], Meta(min_length=7, max_length=7)]
    """How often each label was the most likely, in the order of `LABELS`."""
    p50_ms: Annotated[float, Meta(ge=0, le=1e6)]


class MicSignal(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag="mic", tag_field="t"
):
    """State of the microphone, at most 128 bytes; on every change and on every connection."""

    state: MicState
    muted_by: Annotated[tuple[MutedBy, ...], Meta(max_length=3)] = ()
    """Why it is to be closed; empty: it may be open."""


class LevelSignal(Struct, frozen=True, forbid_unknown_fields=True, tag="level", tag_field="t"):
    """Level, at most 128 bytes; twice a second while the link requests it."""

    dbfs: LevelDecibel
    speech: bool


class SpeechSignal(Struct, frozen=True, forbid_unknown_fields=True, tag="speech", tag_field="t"):
    """Whether there is speech, at most 128 bytes; on every change and on every connection."""

    speaking: bool


Report = UtteranceReport | HealthReport | InfoReport | PredictionCountsReport
Signal = MicSignal | LevelSignal | SpeechSignal
EarMessage = Report | Signal

# --- the socket: commands of the link to the ear ---


class Ack(Struct, frozen=True, forbid_unknown_fields=True, tag="ack", tag_field="t"):
    """Acknowledge an utterance: its event is at the broker or on disk, and the ear may drop it."""

    n: Annotated[int, Meta(ge=1, le=2**53 - 1)]


class Mute(Struct, frozen=True, forbid_unknown_fields=True, tag="mute", tag_field="t"):
    """Close the microphone."""


class Unmute(Struct, frozen=True, forbid_unknown_fields=True, tag="unmute", tag_field="t"):
    """Open the microphone again, unless it was muted at the device."""


class LevelOn(Struct, frozen=True, forbid_unknown_fields=True, tag="level_on", tag_field="t"):
    """Send the level twice a second for so many seconds; 0 ends it."""

    seconds: Annotated[int, Meta(ge=0, le=60)]


class Restart(Struct, frozen=True, forbid_unknown_fields=True, tag="restart", tag_field="t"):
    """End the process cleanly; the service manager restarts it."""


class ReloadModel(Struct, frozen=True, forbid_unknown_fields=True, tag="reload_model", tag_field="t"):
    """Read the release store and run its current model; the link cannot choose another one."""


EarCommand = Ack | Mute | Unmute | LevelOn | Restart | ReloadModel
