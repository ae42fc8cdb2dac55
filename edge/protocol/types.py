"""Labels, states and constrained value types of the messages."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

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
NodeId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z")]
BootId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z")]
Ulid = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
ModelName = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[0-9a-z.]{1,32}){1,3}\Z", max_length=64)]
SessionId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Timestamp = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
AnyTimestamp = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")]
"""A time of RFC 3339 as other programs write it: with or without a fraction, in any zone."""
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=86_400_000)]
VersionText = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.+-]{1,32}\Z")]
