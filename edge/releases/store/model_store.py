"""The model store of a device: every change is one atomic replacement of `state.json`.

    selected -> downloaded -> unpacked -> validated -> switched (on probation) -> confirmed | rolled back and refused

    models/  state.json  floor  slots/<name>.<hash>/  incoming/  tuf/

The bundle of the package is not in here and is never removed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.releases import archive
from edge.releases.metadata import Target
from edge.releases.store import cleanup, state
from edge.releases.store.lock import locked
from edge.releases.store.state import (
    Candidate,
    Probation,
    ReferenceCounts,
    Slot,
    Stage,
    State,
    with_refused,
)
from edge.util import atomic_file
from edge.util.atomic_file import Step, no_step, sync_folder
from edge.util.errors import UserError, reason

log = logging.getLogger(__name__)

VALIDATION_ATTEMPTS: Final = 2
"""So often validation may end without a verdict before the model is refused."""


class StoreError(UserError):
    """The store cannot be written, or the change is not allowed in the present state."""


class Store:
    """The model store, opened for writing. Raises `StoreError`.

    `step` is called between any two changes on disk.
    """

    def __init__(self, folder: Path, step: Step = no_step, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._step = step
        self._clock = clock
        try:
            for created in (folder, folder / state.SLOTS, self.incoming, self.tuf):
                if not created.is_dir():
                    created.mkdir(parents=True, exist_ok=True)
                    created.chmod(0o755)  # whatever the umask: the ear is another user
        except OSError as error:
            raise StoreError(f"{error.filename or folder}: {reason(error)}") from None

    @property
    def incoming(self) -> Path:
        """Folder of downloads."""
        return self.folder / state.INCOMING

    @property
    def tuf(self) -> Path:
        """Metadata cache of the repository client; it may be lost."""
        return self.folder / "tuf"

    @property
    def state(self) -> State:
        """The state on disk."""
        return state.read_or_new(self.folder)

    def path(self, slot: Slot) -> Path:
        """Folder of a slot's bundle."""
        return self.folder / state.SLOTS / slot.folder

    def recover(self) -> State:
        """Remove leftovers of an interrupted update; a candidate whose files are complete stays where it was."""
        with self._locked():
            now = self.state
            cleanup.remove_leftovers(self.folder)
            candidate = now.candidate
            if candidate is not None and not self._is_complete(candidate):
                back = msgspec.structs.replace(candidate, stage="selected")
                now = self._write(now, "recover", candidate=back)
            cleanup.remove_unreferenced(self.folder, now, self._step)
            return now

    def _is_complete(self, candidate: Candidate) -> bool:
        match candidate.stage:
            case "selected":
                return True
            case "downloaded":
                return self.archive_of(candidate.slot).is_file()
        return self.path(candidate.slot).is_dir()

    def record_check(self, *, latest: str | None = None, error: str | None = None) -> State:
        """Record the time and result of a check."""
        with self._locked():
            now = self.state
            changes = {"latest": now.latest if latest is None else latest, "error": error or ""}
            return self._write(now, "note", checked_at=self._clock(), **changes)

    def select(self, target: Target) -> Candidate:
        """Make a release the candidate; one that already is keeps its stage. Raises `StoreError` below the floor."""
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
            if (
                now.candidate is not None
                and now.candidate.slot.folder == slot.folder
                and now.candidate.about == about
            ):
                return now.candidate
            if about.release <= now.floor:
                raise StoreError(
                    f"release {about.release} is not above {now.floor}, which ran here before: rollback refused"
                )
            candidate = Candidate(slot=slot, about=about, length=target.length)
            self._write(now, "selected", candidate=candidate)
            return candidate

    def archive_of(self, slot: Slot) -> Path:
        """Path of a slot's downloaded archive."""
        return self.incoming / f"{slot.target_sha256}.tar"

    def mark_downloaded(self, candidate: Candidate) -> Candidate:
        """Record that the archive is complete, synchronised to disk, and has the signed hash; return the candidate."""
        sync_folder(self.incoming)
        return self._advance(candidate, "downloaded")

    def unpack(self, candidate: Candidate) -> Candidate:
        """Unpack the archive into its slot and delete it; return the candidate at the stage `unpacked`.

        A slot that is there already is kept, and needs no archive. Raises `ArchiveError`; `OSError` where
        the disk fails; `StoreError` where another one is the candidate now, or the state cannot be written.
        """
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
        candidate = self._advance(candidate, "unpacked")
        source.unlink(missing_ok=True)
        self._step("unpack: archive removed")
        return candidate

    def validation_started(self, candidate: Candidate) -> Candidate:
        """Count a validation before it starts, so that a model that takes the whole device down is refused, too."""
        return self._advance(
            candidate, candidate.stage, validation_attempts=candidate.validation_attempts + 1
        )

    def validation_not_reached(self, candidate: Candidate) -> Candidate:
        """Take back the count of a validation that could not be started."""
        return self._advance(
            candidate, candidate.stage, validation_attempts=candidate.validation_attempts - 1
        )

    def mark_validated(self, candidate: Candidate, digest: str | None) -> Candidate:
        """Record that the candidate has passed validation; return it. `digest`: sha256 of the manifest in the verdict.

        Raises `StoreError` unless the verdict is about the very bundle that is in the slot.
        """
        try:
            found = state.manifest_sha256(self.path(candidate.slot))
        except OSError as error:
            raise StoreError(f"{candidate.slot.name}: {error}") from None
        if digest != found:
            raise StoreError(f"{candidate.slot.name}: the verdict is about another bundle")
        return self._advance(
            candidate, "validated", slot=msgspec.structs.replace(candidate.slot, manifest_sha256=found)
        )

    def _advance(self, candidate: Candidate, stage: Stage, **changes: Any) -> Candidate:
        with self._locked():
            now = self.state
            if now.candidate is None or now.candidate.slot.folder != candidate.slot.folder:
                raise StoreError(f"{candidate.slot.name}: is no longer the candidate")
            new = msgspec.structs.replace(now.candidate, stage=stage, **changes)
            self._write(now, stage, candidate=new)
            return new

    def switch(self, candidate: Candidate, reference: ReferenceCounts | None = None) -> State:
        """Make the candidate the current model, on probation; the previous one is kept."""
        if candidate.stage != "validated" or candidate.slot.manifest_sha256 is None:
            raise StoreError(f"{candidate.slot.name}: is {candidate.stage}: only a validated model may run")
        self._raise_floor(candidate.slot.release)
        with self._locked():
            now = self.state
            return self._write(
                now, "switched", current=candidate.slot, previous=now.current, candidate=None, error="",
                floor=max(now.floor, candidate.slot.release),
                probation=Probation(since=self._clock(), reference=reference or ReferenceCounts()),
            )  # fmt: skip

    def adopt(self, candidate: Candidate) -> State:
        """Record that the current model is this release; nothing is switched. The caller has compared them.

        The candidate is dropped, and releases that are not higher are refused from now on. Returns the new
        state. Raises `StoreError`.
        """
        self._raise_floor(candidate.slot.release)
        with self._locked():
            now = self.state
            slot = now.current
            if slot is not None:
                slot = msgspec.structs.replace(slot, release=candidate.slot.release)
            floor = max(now.floor, candidate.slot.release)
            new = self._write(now, "adopted", candidate=None, current=slot, floor=floor, error="")
            cleanup.remove_unreferenced(self.folder, new, self._step)
            return new

    def abandon(self, candidate: Candidate, why: str, *, for_good: bool) -> State:
        """Drop the candidate; `for_good`: refuse it from now on."""
        with self._locked():
            now = self.state
            refused = now.refused_models
            if for_good:
                refused = with_refused(refused, candidate.slot, why, self._clock())
            new = self._write(now, "abandoned", candidate=None, refused_models=refused, error=why)
            cleanup.remove_unreferenced(self.folder, new, self._step)
            return new

    def set_reference(self, reference: ReferenceCounts) -> State:
        """Keep the prediction counts of the previous model, which the new one is compared with."""
        with self._locked():
            now = self.state
            if now.probation is None:
                return now
            return self._write(
                now, "reference", probation=msgspec.structs.replace(now.probation, reference=reference)
            )

    def save_probation(self, *, spent_s: float, crashes: int) -> State:
        """Save the progress of the probation for the next start of the link."""
        with self._locked():
            now = self.state
            if now.probation is None:
                return now
            probation = msgspec.structs.replace(now.probation, spent_s=spent_s, crashes=crashes)
            return self._write(now, "probation", probation=probation)

    def confirm(self) -> State:
        """End the probation: the model has passed."""
        with self._locked():
            now = self.state
            new = self._write(now, "confirmed", probation=None, error="")
            cleanup.remove_unreferenced(self.folder, new, self._step)
            return new

    def roll_back(self, why: str) -> State:
        """Go back to the previous model and refuse the current one from now on.

        Raises `StoreError` where the model of the package runs.
        """
        with self._locked():
            now = self.state
            if now.current is None:
                raise StoreError("the model of the package runs: there is nothing to go back from")
            back = now.previous
            if back is not None and not (
                self.path(back).is_dir() and back.target_sha256 not in now.refused_hashes
            ):
                back = None
            self._step("rollback: begin")
            new = self._write(
                now, "rolled back", current=back, previous=None, probation=None, error=why,
                refused_models=with_refused(now.refused_models, now.current, why, self._clock()),
            )  # fmt: skip
            cleanup.remove_unreferenced(self.folder, new, self._step)
            return new

    def _raise_floor(self, release: int) -> None:
        """Done before everything else: whatever happens afterwards, no older release is installed."""
        with self._locked():
            if release > state.read_floor(self.folder):
                try:
                    atomic_file.write(
                        self.folder / state.FLOOR, f"{release}\n", step=self._step, what="floor"
                    )
                except OSError as error:
                    raise StoreError(
                        f"{self.folder / state.FLOOR}: cannot be written ({reason(error)})"
                    ) from None

    def _write(self, now: State, what: str, **changes: Any) -> State:
        new = msgspec.structs.replace(now, **changes)
        try:
            atomic_file.write(self.folder / state.STATE, msgspec.json.encode(new), step=self._step, what=what)
        except OSError as error:
            raise StoreError(f"{self.folder / state.STATE}: cannot be written ({reason(error)})") from None
        return new

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder))
            except OSError as error:
                raise StoreError(f"{self.folder}: {reason(error)}") from None
            yield
