"""Messages and topics, shared by all parts: between ear and link, and over MQTT.

Everything can be imported from here: the published messages (`edge.protocol.messages`), those of the socket between
ear and link (`edge.protocol.ear_link`), commands (`edge.protocol.commands`), topics (`edge.protocol.topics`), value
types (`edge.protocol.types`), encoding and validation (`edge.protocol.codec`). All structs are frozen and refuse
unknown keys; decoding raises `ContractError`. JSON has no NaN or infinity, so no such number can pass.

    data = encode(MicSignal("ok"))
    assert decode_ear_message(data) == MicSignal("ok")
"""

from edge.protocol.codec import ContractError, decode_ear_command, decode_ear_message, decode_event, encode
from edge.protocol.commands import Command, Response
from edge.protocol.ear_link import (
    AROUSAL_STEPS,
    BLOCK_MS,
    LATENCY_STEP_MS,
    MAX_EAR_COMMAND_BYTES,
    MAX_REPORT_BYTES,
    MAX_SIGNAL_BYTES,
    REPORTS_BURST,
    REPORTS_PER_SECOND,
    SIGNALS_BURST,
    SIGNALS_PER_SECOND,
    UTTERANCES_BURST,
    UTTERANCES_PER_SECOND,
    Ack,
    EarCommand,
    EarInfo,
    EarMessage,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    Mute,
    PredictionCountsReport,
    ReloadModel,
    Report,
    Restart,
    Signal,
    SpeechSignal,
    Unmute,
    UtteranceReport,
    UtteranceValues,
)
from edge.protocol.messages import (
    PROTOCOL,
    SMALL_COUNT,
    Announcement,
    EarHealth,
    Episode,
    Event,
    Health,
    Info,
    LastEvent,
    Level,
    MicFormat,
    ModelInfo,
    ModelStatus,
    MuteReasons,
    Probabilities,
    Speech,
    State,
    UpdateState,
)
from edge.protocol.topics import (
    AVAILABILITY,
    EPISODE,
    EVENT,
    HEALTH,
    INFO,
    LEVEL,
    MIC,
    MODEL,
    MUTED_BY,
    SPEECH,
    STATE,
    TOPICS,
    Topic,
    announce_topic,
    probe_topic,
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
    LevelDecibel,
    MicState,
    Milliseconds,
    ModelName,
    MutedBy,
    NodeId,
    Percent,
    SessionId,
    Sha256,
    Share,
    Signed,
    SnrDecibel,
    Timestamp,
    Ulid,
    VersionText,
)
