"""The messages of the socket between ear and link, and their limits."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from edge.protocol.messages import (
    EarHealth,
    Event,
    ModelInfo,
)
from edge.protocol.types import (
    Count,
    Decibel,
    MicState,
    MutedBy,
    Sha256,
    Ulid,
)

# Limits of the socket between ear and link, in bytes and in messages. A second of speech is 32,000 bytes, or 8,000 in
# telephone quality: the limits are a fraction of that, and the schema has no field that could carry sound.
MAX_REPORT_BYTES: Final = 1024
MAX_SIGNAL_BYTES: Final = 128
MAX_EAR_COMMAND_BYTES: Final = 256
REPORTS_PER_SECOND: Final = 2.0
REPORTS_BURST: Final = 10
SIGNALS_PER_SECOND: Final = 4.0
SIGNALS_BURST: Final = 8

# --- the socket: messages of the ear to the link ---


class EventReport(Struct, frozen=True, forbid_unknown_fields=True, tag="event", tag_field="t"):
    """An event, at most 1 KiB; the ear keeps it until it is acknowledged."""

    event: Event


class HealthReport(Struct, frozen=True, forbid_unknown_fields=True, tag="health", tag_field="t"):
    """Health of the ear, at most 1 KiB; not acknowledged."""

    health: EarHealth


class InfoReport(Struct, frozen=True, forbid_unknown_fields=True, tag="info", tag_field="t"):
    """Description of the ear, at most 1 KiB: the first message of a connection, and again on every change."""

    info: ModelInfo


class PredictionCountsReport(
    Struct, frozen=True, forbid_unknown_fields=True, tag="prediction_counts", tag_field="t", kw_only=True
):
    """Counts of a model's predictions without the baseline, at most 1 KiB; nothing about a single utterance."""

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
    muted_by: tuple[MutedBy, ...] = ()
    """Why it is to be closed; empty: it may be open."""


class LevelSignal(Struct, frozen=True, forbid_unknown_fields=True, tag="level", tag_field="t"):
    """Level, at most 128 bytes; twice a second while the link requests it."""

    dbfs: Decibel
    speech: bool


Report = EventReport | HealthReport | InfoReport | PredictionCountsReport
Signal = MicSignal | LevelSignal
EarMessage = Report | Signal

# --- the socket: commands of the link to the ear ---


class Ack(Struct, frozen=True, forbid_unknown_fields=True, tag="ack", tag_field="t"):
    """Acknowledge an event: it is at the broker or on disk, and the ear may drop it."""

    id: Ulid


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
