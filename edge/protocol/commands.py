"""What a subscriber may ask of a room, and the answer: `B/N/cmd/<verb>` -> `B/N/resp/<verb>`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.protocol.types import BootId, Count, Timestamp


class Command(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of a command; a retained one is ignored."""

    transaction: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")]
    """Chosen by the sender, echoed in the answer."""
    sent_at: Timestamp | None = None
    seconds: Annotated[int, Meta(ge=0, le=60)] = 60
    """Only for `level_on`."""
    on: bool = True
    """Only for `mute`: false unmutes, for switches that know one topic only."""
    boot: BootId | None = None
    """Only for `replay`: the start of the ear whose events are wanted."""
    from_seq: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 1
    """Only for `replay`."""
    to_seq: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 2**53 - 1
    """Only for `replay`: the last one, included."""


class Response(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The answer to a command, QoS 1, not retained."""

    transaction: str
    ok: bool
    error: str = ""
    events: Count = 0
    """Only for `replay`: how many events come again."""
    first_seq: Count = 0
    """Only for `replay`: the first of them; above `from_seq` where the older ones are no longer kept."""
