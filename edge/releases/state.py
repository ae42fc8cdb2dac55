"""Which model a box runs, ran before, tries, and never runs again: one small file, replaced as a whole."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from edge.protocol.messages import ModelName, Sha256
from edge.releases.metadata import Number, Release

log = logging.getLogger(__name__)

STATE: Final = "state.json"
FLOOR: Final = "floor"
SLOTS: Final = "slots"
INCOMING: Final = "incoming"
MAX_BYTES: Final = 1 << 20
MAX_BAD: Final = 200

Stage = Literal["wanted", "staged", "verified", "gated"]
FolderName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,80}\Z")]


class Slot(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle in the store."""

    name: ModelName
    folder: FolderName
    release: Number
    target_sha256: Sha256
    model_sha256: Sha256


class Candidate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A release on its way to be the current one."""

    slot: Slot
    about: Release
    length: int
    stage: Stage = "wanted"
    gate_tries: int = 0
    """Starts of the gate that came to no verdict: it died, or the box did."""


class Baseline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the model before had said of this room, without adaptation."""

    utterances: int = 0
    uncertain: int = 0
    labels: tuple[int, ...] = (0,) * 7
    """How often each label was the most likely."""
    p50_ms: float = 0.0


class Probation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The current model has to prove itself."""

    since: float
    """Wall-clock seconds."""
    spent_s: float = 0.0
    """Time on probation before the link was last started."""
    deaths: int = 0
    """Ears that ended while they ran it."""
    baseline: Baseline = Baseline()


class Bad(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Never again."""

    name: str
    target_sha256: Sha256
    model_sha256: Sha256
    release: Number
    why: str
    at: float


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`state.json`. `None` as current or previous is the bundle of the package."""

    v: Literal[1] = 1
    floor: int = 0
    """Highest release that was ever switched to, or refused for good."""
    current: Slot | None = None
    previous: Slot | None = None
    candidate: Candidate | None = None
    probation: Probation | None = None
    bad: tuple[Bad, ...] = ()
    latest: str = ""
    """Newest version that was meant for this box at the last check."""
    error: str = ""
    """What went wrong last; empty: nothing."""
    checked_at: float = 0.0

    @property
    def refused(self) -> frozenset[str]:
        """sha256 of targets and models that are never tried again."""
        return frozenset(h for bad in self.bad for h in (bad.target_sha256, bad.model_sha256))


class StateError(Exception):
    """The file is there and cannot be used."""


def read(folder: Path) -> State:
    """What the store says. Raises `StateError`; without a file everything is as it was shipped."""
    path = folder / STATE
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        state = msgspec.json.decode(data, type=State) if len(data) <= MAX_BYTES else None
    except FileNotFoundError:
        state = State()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"{path}: {error}") from None
    if state is None:
        raise StateError(f"{path}: more than {MAX_BYTES} bytes")
    return msgspec.structs.replace(state, floor=max(state.floor, read_floor(folder)))


def read_or_new(folder: Path) -> State:
    """What the store says; where it says nothing that can be used, only the floor is left."""
    try:
        return read(folder)
    except StateError as error:
        log.error("what the store of models says cannot be used, so the shipped model runs: %s", error)
        return State(floor=read_floor(folder))


def read_floor(folder: Path) -> int:
    """The floor in its own file: it stands when everything else is lost."""
    try:
        return max(0, int((folder / FLOOR).read_text(encoding="ascii")[:12]))
    except (OSError, ValueError):
        return 0
