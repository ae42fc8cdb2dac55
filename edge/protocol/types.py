"""Labels, states and constrained value types of the messages."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from edge.util.text.patterns import pattern

LABELS: Final = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The emotions, in the order of every probability vector. `calm` of some corpora counts as `neutral`."""

UNCERTAIN: Final = "uncertain"
"""The event type of an utterance whose confidence is too low, or that is too short."""

Label = Literal["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
EventType = Literal["neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised", "uncertain"]
MicState = Literal["starting", "ok", "lost", "muted"]
MutedBy = Literal["device", "remote", "quiet_hours"]
"""Why the microphone is closed: muted at the device, by a command, or by `audio.quiet_hours`."""
Availability = Literal["online", "offline"]

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Signed = Annotated[float, Meta(ge=-1.0, le=1.0)]
Decibel = Annotated[float, Meta(ge=-160.0, le=160.0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
LevelDecibel = Annotated[int, Meta(ge=-100, le=0)]
"""A level in whole dB of full scale."""
SnrDecibel = Annotated[int, Meta(ge=-20, le=100)]
NodeId = Annotated[str, pattern(r"^[a-z0-9_-]{1,64}\Z", "1 to 64 of a-z, 0-9, `_` and `-`")]
BootId = Annotated[str, pattern(r"^[0-9a-f]{8}\Z", "8 hexadecimal digits, 0-9 and a-f")]
Ulid = Annotated[
    str, pattern(r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z", "a ULID, 26 of 0-9 and A-Z without I, L, O and U")
]
ModelName = Annotated[
    str, pattern(r"^[a-z0-9]+(-[0-9a-z.]{1,32}){1,3}\Z", "a model's name such as base-1.2.3", max_length=64)
]
SessionId = Annotated[str, pattern(r"^[0-9a-f]{16}\Z", "16 hexadecimal digits, 0-9 and a-f")]
Sha256 = Annotated[str, pattern(r"^[0-9a-f]{64}\Z", "a SHA-256, 64 hexadecimal digits, 0-9 and a-f")]
Timestamp = Annotated[
    str,
    pattern(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z",
        "a time in UTC with milliseconds such as 2026-01-31T10:00:00.000Z",
    ),
]
AnyTimestamp = Annotated[
    str,
    pattern(
        r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z",
        "a time of RFC 3339 such as 2026-01-31T10:00:00Z",
    ),
]
"""A time of RFC 3339 as other programs write it: with or without a fraction, in any zone."""
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=86_400_000)]
VersionText = Annotated[
    str, pattern(r"^[0-9A-Za-z.+-]{1,32}\Z", "1 to 32 of 0-9, A-Z, a-z, `.`, `+` and `-`")
]
