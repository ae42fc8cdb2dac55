"""Which model the ear runs: what the store says is current, if it loads; else the one before; else the shipped one.

The ear decides by itself, so that a box hears again whatever the link does: a model on probation with which three
ears in a row have ended soon is left out, also when nobody has rolled it back yet.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.config.settings import Config
from edge.ear import baseline_store as adaptation
from edge.ear import state_dir
from edge.ear.baseline_store import BaselineStore
from edge.inference import bundle as bundles
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.releases import state as updates
from edge.releases.state import Slot, State
from edge.releases.store import folder_of
from edge.util import atomic_file
from edge.util.errors import UserError

log = logging.getLogger(__name__)

TRIES: Final = 3
"""Ears that may end soon with a model on probation."""
LASTED_S: Final = 60.0


class Tries(Struct, frozen=True, forbid_unknown_fields=True):
    """Starts with a model on probation that have not lasted."""

    target_sha256: str
    count: int


@dataclass(frozen=True)
class Chosen:
    """`slot` is None for the shipped bundle."""

    bundle: Bundle
    slot: Slot | None
    on_probation: bool


@dataclass(frozen=True)
class Loaded:
    """Ready to be swapped in."""

    chosen: Chosen
    classifier: Classifier
    adaptation: BaselineStore | None


class Models:
    """Chooses and loads; `wish` may come from any thread, everything else from the ear's main thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = folder_of(config)
        self._file = state_dir.folder(config) / f"{Path(config.runtime.socket).stem}.tries.json"
        self._lock = threading.Lock()
        self._wishes = 0
        self._loading = False
        self._ready: Loaded | None = None
        self._clear_at: float | None = None
        self._running: Chosen | None = None

    # --- choosing ---

    def first(self) -> Loaded:
        """At the start. Raises `UserError` where not even the shipped bundle can be run."""
        chosen = self._choose(self._state())
        while True:
            try:
                self._begin(chosen)
                loaded = self._load(chosen)
                self._running = chosen
                return loaded
            except UserError as error:
                if chosen.slot is None:
                    raise
                log.error(
                    "%s does not run (%s): the one before, or the shipped one, does", chosen.slot.name, error
                )
                chosen = self._choose(self._state(), but=chosen.slot)

    def would_run(self) -> Chosen:
        """What an ear that starts now would run; nothing is counted. Raises `UserError`."""
        return self._choose(self._state())

    def _state(self) -> State:
        return updates.read_or_new(self._folder)

    def _choose(self, now: State, but: Slot | None = None) -> Chosen:
        family = Path(self._config.model.bundle).name.partition("-")[0]
        order = [now.current] if but is None else []
        for slot in (*order, now.previous):
            if slot is None or slot == but:
                if slot is None:
                    break
                continue
            if slot.name.partition("-")[0] != family:
                log.info("%s is there, and this box is told to run %s", slot.name, self._config.model.bundle)
                break
            probation = now.probation is not None and slot == now.current
            if probation and self._tries(slot) >= TRIES:
                log.error("%s: %d ears have ended soon with it: it is left out", slot.name, TRIES)
                continue
            try:
                found = bundles.load(self._folder / updates.SLOTS / slot.folder)
                if found.sha256 != slot.model_sha256:
                    raise UserError("another model than the store says")
                return Chosen(found, slot, probation)
            except UserError as error:
                log.error("%s cannot be used: %s", slot.name, error)
        return Chosen(bundles.load(bundles.find(self._config.model.bundle)), None, False)

    def _load(self, chosen: Chosen) -> Loaded:
        # While a model is on probation it is heard without adaptation, and the mean of the room stays on disk for the
        # model before: it may come back.
        room = None if chosen.on_probation else adaptation.open_store(self._config, chosen.bundle)
        classifier = Classifier(
            chosen.bundle,
            abstain_below=self._config.model.abstain_below,
            baseline=None if room is None else room.baseline,
        )
        classifier.self_test()
        return Loaded(chosen, classifier, room)

    # --- swapping while the ear hears ---

    def wish(self) -> None:
        """The link asks to look into the store."""
        with self._lock:
            self._wishes += 1

    def look(self) -> Loaded | None:
        """What is ready to be swapped in, if anything. Cheap; loading is done beside, so that nothing goes unheard."""
        if self._clear_at is not None and time.monotonic() > self._clear_at:
            self.lasted()
        with self._lock:
            if self._ready is not None:
                ready, self._ready = self._ready, None
                self._running = ready.chosen
                return ready
            if self._wishes and not self._loading:
                self._wishes, self._loading = 0, True
                threading.Thread(target=self._load_beside, name="models", daemon=True).start()
        return None

    def _load_beside(self) -> None:
        loaded = None
        try:
            chosen = self._choose(self._state())
            if self._running is None or not _same(chosen, self._running):
                self._begin(chosen)
                loaded = self._load(chosen)
        except UserError as error:
            log.error("the model of the store is not taken: %s", error)
        finally:
            with self._lock:
                self._ready, self._loading = loaded, False

    # --- ears that end soon ---

    def _begin(self, chosen: Chosen) -> None:
        self._clear_at = None
        if chosen.slot is not None and chosen.on_probation:
            self._write(Tries(chosen.slot.target_sha256, self._tries(chosen.slot) + 1))
            self._clear_at = time.monotonic() + LASTED_S

    def lasted(self) -> None:
        """This life has lasted, or ends in good order."""
        if self._clear_at is not None:
            self._clear_at = None
            self._write(Tries("", 0))

    def _tries(self, slot: Slot) -> int:
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=Tries)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return 0
        return found.count if found.target_sha256 == slot.target_sha256 else 0

    def _write(self, tries: Tries) -> None:
        try:
            atomic_file.write(self._file, msgspec.json.encode(tries))
        except OSError as error:
            log.warning("%s cannot be written (%s)", self._file, error)


def _same(one: Chosen, other: Chosen) -> bool:
    return (one.bundle.path, one.bundle.sha256, one.on_probation) == (
        other.bundle.path, other.bundle.sha256, other.on_probation,
    )  # fmt: skip
