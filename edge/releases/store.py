"""The store of models of a box: every change is one atomic replacement of `state.json`.

    wanted -> staged -> verified -> gated -> switched (on probation) -> good | rolled back, and never again

    models/  state.json  floor  slots/<name>.<hash>/  incoming/  tuf/

The link's user writes here, everybody may read. The bundle of the package is not in here and is never removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.settings import Config
from edge.releases import archive, cleanup, state
from edge.releases.metadata import Target
from edge.releases.state import (
    Bad,
    Baseline,
    Candidate,
    Probation,
    Slot,
    Stage,
    State,
)
from edge.util import atomic_file
from edge.util.atomic_file import Step, no_step, sync_folder
from edge.util.errors import UserError

log = logging.getLogger(__name__)

INSTALLED: Final = Path("/var/lib/roomtone/models")
GATE_TRIES: Final = 2
"""So often the gate may die before the model is to blame."""


class StoreError(UserError):
    """The store cannot be written, or the change makes no sense now."""


def folder_of(config: Config) -> Path:
    """Where the models are; the same for link, ear, gate and a person at the device."""
    if config.updates.dir:
        return Path(config.updates.dir)
    return INSTALLED if INSTALLED.is_dir() else Path(config.runtime.socket).parent / "models"


class Store:
    """Opened for writing. `step` is told every point between two changes of the disk. Raises `StoreError`."""

    def __init__(self, folder: Path, step: Step = no_step, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._step = step
        self._clock = clock
        try:
            for made in (folder, folder / state.SLOTS, self.incoming, self.tuf):
                if not made.is_dir():
                    made.mkdir(parents=True, exist_ok=True)
                    made.chmod(0o755)  # whatever the umask: the ear is another user
        except OSError as error:
            raise StoreError(f"{error.filename or folder}: {error.strerror}") from None

    @property
    def incoming(self) -> Path:
        """Archives on their way."""
        return self.folder / state.INCOMING

    @property
    def tuf(self) -> Path:
        """What the client of the repository remembers; it may be lost."""
        return self.folder / "tuf"

    @property
    def state(self) -> State:
        """As it is on disk."""
        return state.read_or_new(self.folder)

    def path(self, slot: Slot) -> Path:
        """The bundle's folder."""
        return self.folder / state.SLOTS / slot.folder

    def recover(self) -> State:
        """After a start: removes what a power cut has left half made. What is whole goes on where it was."""
        with self._locked():
            now = self.state
            cleanup.leftovers(self.folder)
            candidate = now.candidate
            if candidate is not None and not self._is_there(candidate):
                back = msgspec.structs.replace(candidate, stage="wanted")
                now = self._write(now, "recover", candidate=back)
            cleanup.prune(self.folder, now, self._step)
            return now

    def _is_there(self, candidate: Candidate) -> bool:
        match candidate.stage:
            case "wanted":
                return True
            case "staged":
                return self.archive_of(candidate.slot).is_file()
        return self.path(candidate.slot).is_dir()

    def note(self, *, latest: str | None = None, error: str | None = None) -> State:
        """What the last check has found."""
        with self._locked():
            now = self.state
            changes = {"latest": now.latest if latest is None else latest, "error": error or ""}
            return self._write(now, "note", checked_at=self._clock(), **changes)

    def want(self, target: Target) -> Candidate:
        """A release is to be installed; one that is on its way already goes on from its stage."""
        about = target.release
        slot = Slot(
            name=about.full_name,
            folder=f"{about.full_name}.{target.sha256[:16]}",
            release=about.release,
            target_sha256=target.sha256,
            model_sha256=about.model_sha256,
        )
        with self._locked():
            now = self.state
            if now.candidate is not None and now.candidate.slot == slot:
                return now.candidate
            if about.release <= now.floor:
                raise StoreError(
                    f"release {about.release} is not above {now.floor}, which this box has seen: rollback refused"
                )
            candidate = Candidate(slot=slot, about=about, length=target.length)
            self._write(now, "wanted", candidate=candidate)
            return candidate

    def archive_of(self, slot: Slot) -> Path:
        """Where the downloaded archive of a slot is."""
        return self.incoming / f"{slot.target_sha256}.tar"

    def staged(self, candidate: Candidate) -> Candidate:
        """The archive is whole, on the medium, and has the hash that was signed."""
        sync_folder(self.incoming)
        return self._advance(candidate, "staged")

    def unpacked(self, candidate: Candidate) -> Candidate:
        """Unpacks the archive into its slot. Raises `ArchiveError`."""
        slot, source = candidate.slot, self.archive_of(candidate.slot)
        target = self.path(slot)
        if not target.is_dir():
            new = target.with_name(f".{slot.folder}")
            cleanup.remove(new)
            self._step("unpack: begin")
            try:
                archive.unpack(source, new, self._step)
            except BaseException:
                cleanup.remove(new)
                raise
            new.rename(target)
            self._step("unpack: renamed")
            sync_folder(target.parent)
            self._step("unpack: done")
        candidate = self._advance(candidate, "verified")
        source.unlink(missing_ok=True)
        self._step("unpack: archive removed")
        return candidate

    def gate_begins(self, candidate: Candidate) -> Candidate:
        """Counts a start of the gate before it happens: a model that takes the whole box down is found, too."""
        return self._advance(candidate, candidate.stage, gate_tries=candidate.gate_tries + 1)

    def gate_unseen(self, candidate: Candidate) -> Candidate:
        """The gate was not there: the model is not to blame."""
        return self._advance(candidate, candidate.stage, gate_tries=candidate.gate_tries - 1)

    def gated(self, candidate: Candidate) -> Candidate:
        """The gate has let it through."""
        return self._advance(candidate, "gated")

    def _advance(self, candidate: Candidate, stage: Stage, **changes: Any) -> Candidate:
        with self._locked():
            now = self.state
            if now.candidate is None or now.candidate.slot != candidate.slot:
                raise StoreError(f"{candidate.slot.name}: is no longer wanted here")
            new = msgspec.structs.replace(now.candidate, stage=stage, **changes)
            self._write(now, stage, candidate=new)
            return new

    def switch(self, candidate: Candidate, baseline: Baseline | None = None) -> State:
        """The candidate is the current model from now on, on probation; the one before is kept."""
        if candidate.stage != "gated":
            raise StoreError(f"{candidate.slot.name}: is {candidate.stage}, and only a gated model may run")
        self._raise_floor(candidate.slot.release)
        with self._locked():
            now = self.state
            return self._write(
                now, "switched", current=candidate.slot, previous=now.current, candidate=None, error="",
                floor=max(now.floor, candidate.slot.release),
                probation=Probation(since=self._clock(), baseline=baseline or Baseline()),
            )  # fmt: skip

    def adopt(self, candidate: Candidate) -> State:
        """The release is the very model that runs already: nothing is switched, only its number is remembered."""
        self._raise_floor(candidate.slot.release)
        with self._locked():
            now = self.state
            slot = now.current
            if slot is not None:
                slot = msgspec.structs.replace(slot, release=candidate.slot.release)
            floor = max(now.floor, candidate.slot.release)
            new = self._write(now, "adopted", candidate=None, current=slot, floor=floor, error="")
            cleanup.prune(self.folder, new, self._step)
            return new

    def abandon(self, candidate: Candidate, why: str, *, for_good: bool) -> State:
        """The candidate will not run; `for_good`: never, because it is to blame."""
        with self._locked():
            now = self.state
            bad = now.bad
            if for_good:
                bad = (*bad, self._bad(candidate.slot, why))[-state.MAX_BAD :]
            new = self._write(now, "abandoned", candidate=None, bad=bad, error=why)
            cleanup.prune(self.folder, new, self._step)
            return new

    def baseline(self, baseline: Baseline) -> State:
        """What the model before had said, told by an ear that still runs it when the switch was made."""
        with self._locked():
            now = self.state
            if now.probation is None:
                return now
            return self._write(
                now, "baseline", probation=msgspec.structs.replace(now.probation, baseline=baseline)
            )

    def on_probation(self, *, spent_s: float, deaths: int) -> State:
        """Remembers how the probation goes, for the next start of the link."""
        with self._locked():
            now = self.state
            if now.probation is None:
                return now
            probation = msgspec.structs.replace(now.probation, spent_s=spent_s, deaths=deaths)
            return self._write(now, "probation", probation=probation)

    def good(self) -> State:
        """The probation has been passed."""
        with self._locked():
            now = self.state
            new = self._write(now, "good", probation=None, error="")
            cleanup.prune(self.folder, new, self._step)
            return new

    def roll_back(self, why: str) -> State:
        """Back to the model before, and never again to this one. Raises `StoreError` where none was pushed."""
        with self._locked():
            now = self.state
            if now.current is None:
                raise StoreError("the model of the package runs: there is nothing to go back from")
            back = now.previous
            if back is not None and not (self.path(back).is_dir() and back.target_sha256 not in now.refused):
                back = None
            self._step("rollback: begin")
            new = self._write(
                now, "rolled back", current=back, previous=None, probation=None, error=why,
                bad=(*now.bad, self._bad(now.current, why))[-state.MAX_BAD :],
            )  # fmt: skip
            cleanup.prune(self.folder, new, self._step)
            return new

    def _bad(self, slot: Slot, why: str) -> Bad:
        return Bad(
            name=slot.name, target_sha256=slot.target_sha256, model_sha256=slot.model_sha256,
            release=slot.release, why=why[:300], at=self._clock(),
        )  # fmt: skip

    def _raise_floor(self, release: int) -> None:
        """First of all: whatever happens then, nothing older comes again."""
        with self._locked():
            if release > state.read_floor(self.folder):
                atomic_file.write(self.folder / state.FLOOR, f"{release}\n", step=self._step, what="floor")

    def _write(self, now: State, what: str, **changes: Any) -> State:
        new = msgspec.structs.replace(now, **changes)
        try:
            atomic_file.write(self.folder / state.STATE, msgspec.json.encode(new), step=self._step, what=what)
        except OSError as error:
            raise StoreError(f"{self.folder / state.STATE}: cannot be written ({error.strerror})") from None
        return new

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
