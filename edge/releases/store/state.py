"""Which models a device runs, ran before, is installing and refuses: `state.json`, read by ear and link.

Only `edge.releases.store.model_store` writes it.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.protocol import ModelName, Sha256
from edge.releases.metadata import Number, Release
from edge.util.text.patterns import in_words, pattern

log = logging.getLogger(__name__)
_reported: dict[Path, str] = {}
"""What was logged of a file last: it is read every few seconds, and a fault is said once."""

STATE: Final = "state.json"
FLOOR: Final = "floor"
MANIFEST: Final = "manifest.json"
SLOTS: Final = "slots"
INCOMING: Final = "incoming"
MAX_BYTES: Final = 1 << 20
MAX_REFUSED: Final = 200

INSTALLED: Final = Path("/var/lib/roomtone/models")

Stage = Literal["selected", "downloaded", "unpacked", "validated"]
FolderName = Annotated[str, pattern(r"^[a-z0-9][a-z0-9.-]{0,80}\Z", "a folder name of a-z, 0-9, `.` and `-`")]


class Slot(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle in the model store: name, folder and hashes."""

    name: ModelName
    folder: FolderName
    release: Number
    target_sha256: Sha256
    model_sha256: Sha256
    manifest_sha256: Sha256 | None = None
    """Of the manifest, and so of all files, that was validated; null: not validated."""


class Candidate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A release that is being installed, and how far that is."""

    slot: Slot
    about: Release
    length: int
    stage: Stage = "selected"
    validation_attempts: int = 0
    """Validations that were started and gave no verdict: the process ended, or the device lost power."""


class ReferenceCounts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prediction counts of the previous model in this room, without adaptation: what a new model is compared with."""

    utterances: int = 0
    uncertain: int = 0
    labels: tuple[int, ...] = (0,) * 7
    """How often each label was the most likely."""
    p50_ms: float = 0.0


class Probation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The probation of the current model: its start, its progress, and what it is compared with."""

    since: float
    """Wall-clock seconds."""
    spent_s: float = 0.0
    """Time on probation before the link was last started."""
    crashes: int = 0
    """How often the ear has ended unexpectedly with it."""
    reference: ReferenceCounts = ReferenceCounts()


class RefusedModel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that was refused or rolled back, and is never installed again."""

    name: str
    target_sha256: Sha256
    model_sha256: Sha256
    release: Number
    why: str
    at: float


def with_refused(
    refused: tuple[RefusedModel, ...], slot: Slot, why: str, at: float
) -> tuple[RefusedModel, ...]:
    """Add a model to those that are refused; of more than `MAX_REFUSED` the oldest are forgotten."""
    one = RefusedModel(
        name=slot.name, target_sha256=slot.target_sha256, model_sha256=slot.model_sha256,
        release=slot.release, why=why[:300], at=at,
    )  # fmt: skip
    return (*refused, one)[-MAX_REFUSED:]


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`state.json`. `None` as current or previous means the bundle of the package."""

    v: Literal[2] = 2
    floor: int = 0
    """Highest release that was ever switched to; lower ones are refused."""
    current: Slot | None = None
    previous: Slot | None = None
    candidate: Candidate | None = None
    probation: Probation | None = None
    refused_models: tuple[RefusedModel, ...] = ()
    latest: str = ""
    """Newest version that was meant for this device at the last check."""
    error: str = ""
    """The last error; empty: none."""
    checked_at: float = 0.0

    @property
    def refused_hashes(self) -> frozenset[str]:
        """The hashes of targets and models that are never installed again."""
        return frozenset(h for one in self.refused_models for h in (one.target_sha256, one.model_sha256))


def manifest_sha256(bundle: Path) -> str:
    """Return the sha256 of a bundle's manifest, which contains those of all other files. Raises `OSError`."""
    with (bundle / MANIFEST).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_of(config: Config) -> Path:
    """Return the folder of a device's models; the same for link, ear, validation and command line."""
    if config.updates.dir:
        return Path(config.updates.dir)
    if INSTALLED.is_dir():
        return INSTALLED
    return Path(config.runtime.state_dir or Path(config.runtime.socket).parent) / "models"


class StateError(Exception):
    """`state.json` exists and cannot be used."""


def read(folder: Path) -> State:
    """Read the state; without a file the shipped model runs. Raises `StateError`."""
    path = folder / STATE
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        state = msgspec.json.decode(data, type=State) if len(data) <= MAX_BYTES else None
    except FileNotFoundError:
        state = State()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StateError(f"{path}: {in_words(error)}") from None
    if state is None:
        raise StateError(f"{path}: more than {MAX_BYTES} bytes")
    return msgspec.structs.replace(state, floor=max(state.floor, read_floor(folder)))


def read_or_new(folder: Path) -> State:
    """Read the state; where the file cannot be used, only the floor is kept."""
    try:
        state = read(folder)
    except StateError as error:
        _report(
            folder / STATE, f"the state of the model store cannot be used, so the shipped model runs: {error}"
        )
        return State(floor=read_floor(folder))
    else:
        _reported.pop(folder / STATE, None)
        return state


def read_floor(folder: Path) -> int:
    """Read the floor from its own file, which outlives a damaged `state.json`."""
    try:
        floor = max(0, int((folder / FLOOR).read_text(encoding="ascii")[:12]))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        _report(
            folder / FLOOR,
            f"{folder / FLOOR} is damaged ({error}): only {STATE} knows the lowest release now",
        )
        return 0
    _reported.pop(folder / FLOOR, None)
    return floor


def _report(path: Path, text: str) -> None:
    if _reported.get(path) != text:
        _reported[path] = text
        log.error("[store_damaged] %s", text)
