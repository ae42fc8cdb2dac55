"""Requests of the link to the update service, and its answers: one line of JSON each.

The link may ask for these operations and for nothing else: it cannot write the model store.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from edge.releases.store.state import ReferenceCounts

MAX_LINE: Final = 65_536

Code = Literal[
    "expired", "rollback", "unsigned", "endless", "tampered", "slow", "not-served", "unreachable", "invalid",
    "no-root", "oversized", "disk", "clock", "validation-unavailable",
]  # fmt: skip
"""Why a check failed."""
Result = Literal["nothing", "switched", "adopted", "done", "refused", "failed"]


class Check(Struct, frozen=True, forbid_unknown_fields=True, tag="check", tag_field="t"):
    """Check for updates, and install what is found."""


class SetReference(Struct, frozen=True, forbid_unknown_fields=True, tag="set_reference", tag_field="t"):
    """Keep the prediction counts of the previous model, which the one on probation is compared with."""

    counts: ReferenceCounts


class SaveProbation(Struct, frozen=True, forbid_unknown_fields=True, tag="save_probation", tag_field="t"):
    """Keep the progress of the probation for the next start of the link."""

    spent_s: Annotated[float, Meta(ge=0, le=1e9)]
    crashes: Annotated[int, Meta(ge=0, le=1_000_000)]


class Confirm(Struct, frozen=True, forbid_unknown_fields=True, tag="confirm", tag_field="t"):
    """The model on probation has passed; refused before `updates.probation_minutes` are over."""


class RollBack(Struct, frozen=True, forbid_unknown_fields=True, tag="roll_back", tag_field="t"):
    """Go back to the previous model, and refuse the current one from now on."""

    reason: Annotated[str, Meta(max_length=300)]


Request = Check | SetReference | SaveProbation | Confirm | RollBack


class Progress(Struct, frozen=True, tag="progress", tag_field="t"):
    """A step of a check."""

    stage: Literal["checking", "downloading", "unpacking", "validating", "switching"]
    percent: Annotated[int, Meta(ge=0, le=100)]


class Outcome(Struct, frozen=True, tag="outcome", tag_field="t"):
    """The result, the last line. `refused`: the release is at fault; `failed`: the request may be repeated."""

    result: Result
    text: str = ""
    code: Code | Literal[""] = ""
    """Why a check failed, for programs."""
    timestamp_version: int = 0
    """Version of the verified timestamp metadata; 0: none was fetched."""


Answer = Progress | Outcome


def parse_answer(line: bytes) -> Answer | None:
    """Read a line of the update service; None for an invalid one."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        found: Answer = msgspec.json.decode(line, type=Answer)
        return found
    return None
