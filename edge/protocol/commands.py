"""Commands of subscribers and the responses: `B/N/cmd/<verb>` -> `B/N/resp/<verb>`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.protocol.types import AnyTimestamp, BootId, Count
from edge.util.text.patterns import pattern


class Command(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of a command; a retained one is ignored."""

    transaction: Annotated[
        str, pattern(r"^[A-Za-z0-9_.:-]{1,64}\Z", "1 to 64 of A-Z, a-z, 0-9, `_`, `.`, `:` and `-`")
    ]
    """Chosen by the sender and repeated in the response."""
    sent_at: AnyTimestamp | None = None
    seconds: Annotated[int, Meta(ge=0, le=60)] = 60
    """Only for `level_on`."""
    on: bool = True
    """Only for `mute`: false unmutes, for switches that support one topic only."""
    boot: BootId | None = None
    """Only for `replay`: the `boot` of the wanted events."""
    from_seq: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 1
    """Only for `replay`: the first wanted event."""
    to_seq: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 2**53 - 1
    """Only for `replay`: the last wanted event."""


class Response(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The response to a command, QoS 1, not retained."""

    transaction: str
    ok: bool
    error: str = ""
    events: Count = 0
    """Only for `replay`: the number of events that are published again."""
    first_seq: Count = 0
    """Only for `replay`: the first of them; above `from_seq` where older events are no longer stored."""
