"""Selects the model that the ear runs: the store's current one if it loads, else the previous, else the shipped one.

The ear decides by itself, so that a device recovers whatever the link does: a model on probation that has ended three
ears in a row soon after their start is skipped, even before it is rolled back.
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
from edge.ear.speed_check import timed_self_test
from edge.inference import bundle as bundles
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.protocol.bundle_name import family_of
from edge.releases.store import state as store_state
from edge.releases.store.state import Slot, State, folder_of, manifest_sha256
from edge.util import atomic_file
from edge.util.errors import UserError
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)

MAX_SHORT_RUNS: Final = 3
"""So many ears in a row may end soon with a model on probation."""
STABLE_S: Final = 60.0


class StartAttempts(Struct, frozen=True, forbid_unknown_fields=True):
    """Starts with a model on probation that have not become stable."""

    target_sha256: str
    count: int


@dataclass(frozen=True)
class SelectedModel:
    """A model to run; `slot` is None for the shipped bundle."""

    bundle: Bundle
    slot: Slot | None
    on_probation: bool


@dataclass(frozen=True)
class LoadedModel:
    """A model that is loaded and tested, ready to be swapped in."""

    chosen: SelectedModel
    classifier: Classifier
    adaptation: BaselineStore | None
    inference_s: float
    """CPU seconds of one inference of its self-test."""


class ModelSelector:
    """Selects the model that the release store names, and loads it in the background.

    `request_reload` may be called from any thread, all else from the ear's main thread.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = folder_of(config)
        self._file = state_dir.folder(config) / f"{Path(config.runtime.socket).stem}.tries.json"
        self._lock = threading.Lock()
        self._requests = 0
        self._loading = False
        self._ready: LoadedModel | None = None
        self._stable_at: float | None = None
        self._running: SelectedModel | None = None

    # --- selection ---

    def load_initial(self) -> LoadedModel:
        """Load the model to start with. Raises `UserError` where not even the shipped bundle can be run."""
        chosen = self._select(self._state())
        while True:
            try:
                self._count_start(chosen)
                loaded = self._load(chosen)
                self._running = chosen
                return loaded
            except UserError as error:
                if chosen.slot is None:
                    raise
                log.error(
                    "[model_failed] %s does not run (%s): falling back to the previous or the shipped one",
                    chosen.slot.name,
                    error,
                )
                chosen = self._select(self._state(), excluded=chosen.slot)

    def selected(self) -> SelectedModel:
        """Return the model that an ear would run if it started now. Raises `UserError`."""
        return self._select(self._state())

    def _state(self) -> State:
        return store_state.read_or_new(self._folder)

    def _select(self, now: State, excluded: Slot | None = None) -> SelectedModel:
        family = family_of(self._config.model.bundle)
        order = [now.current] if excluded is None else []
        for slot in (*order, now.previous):
            if slot is None or slot == excluded:
                if slot is None:
                    break
                continue
            if family_of(slot.name) != family:
                log.info(
                    "[model_of_another_family] %s is installed, but this device is configured to run %s",
                    slot.name,
                    self._config.model.bundle,
                )
                break
            probation = now.probation is not None and slot == now.current
            if probation and self._attempts(slot) >= MAX_SHORT_RUNS:
                log.error(
                    "[model_skipped] %s: %d ears have ended soon after their start with it: skipped",
                    slot.name,
                    MAX_SHORT_RUNS,
                )
                continue
            try:
                found = bundles.load(self._folder / store_state.SLOTS / slot.folder)
                # The whole bundle, not the network alone: labels, temperature and thresholds decide, too.
                if (found.sha256, manifest_sha256(found.path)) != (slot.model_sha256, slot.manifest_sha256):
                    raise UserError("not the bundle that was validated")
                return SelectedModel(found, slot, probation)
            except (UserError, OSError) as error:
                log.error("[model_unusable] %s cannot be used: %s", slot.name, error)
        return SelectedModel(bundles.load(bundles.find(self._config.model.bundle)), None, False)

    def _load(self, chosen: SelectedModel) -> LoadedModel:
        # A model on probation runs without adaptation, and the baseline of the room stays on disk for the previous
        # model, which may come back.
        room = None if chosen.on_probation else adaptation.open_store(self._config, chosen.bundle)
        classifier = Classifier(
            chosen.bundle,
            abstain_below=self._config.model.abstain_below,
            baseline=None if room is None else room.baseline,
        )
        return LoadedModel(chosen, classifier, room, timed_self_test(classifier))

    # --- swapping while the ear runs ---

    def request_reload(self) -> None:
        """Ask for the store to be read again, as the link does after a change."""
        with self._lock:
            self._requests += 1

    def poll(self) -> LoadedModel | None:
        """Return a model that is ready to be swapped in, or None.

        Models are loaded in a thread, so that no speech is missed.
        """
        if self._stable_at is not None and time.monotonic() > self._stable_at:
            self.mark_stable()
        with self._lock:
            if self._ready is not None:
                ready, self._ready = self._ready, None
                self._running = ready.chosen
                return ready
            if self._requests and not self._loading:
                self._requests, self._loading = 0, True
                threading.Thread(target=self._load_in_thread, name="models", daemon=True).start()
        return None

    def _load_in_thread(self) -> None:
        loaded = None
        try:
            chosen = self._select(self._state())
            if self._running is None or not _same(chosen, self._running):
                self._count_start(chosen)
                loaded = self._load(chosen)
        except UserError as error:
            log.error("[model_not_loaded] the model of the store cannot be loaded: %s", error)
        finally:
            with self._lock:
                self._ready, self._loading = loaded, False

    # --- ears that end soon after their start ---

    def _count_start(self, chosen: SelectedModel) -> None:
        self._stable_at = None
        if chosen.slot is not None and chosen.on_probation:
            self._write(StartAttempts(chosen.slot.target_sha256, self._attempts(chosen.slot) + 1))
            self._stable_at = time.monotonic() + STABLE_S

    def mark_stable(self) -> None:
        """Forget failed starts: this ear has run long enough, or ends in good order."""
        if self._stable_at is not None:
            self._stable_at = None
            self._write(StartAttempts("", 0))

    def _attempts(self, slot: Slot) -> int:
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=StartAttempts)
        except FileNotFoundError:
            return 0
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                "[start_count_damaged] %s is damaged (%s): counting the starts anew",
                self._file,
                in_words(error),
            )
            return 0
        return found.count if found.target_sha256 == slot.target_sha256 else 0

    def _write(self, attempts: StartAttempts) -> None:
        try:
            atomic_file.write(self._file, msgspec.json.encode(attempts))
        except OSError as error:
            log.warning("[start_count_not_saved] %s cannot be written (%s)", self._file, error)


def _same(one: SelectedModel, other: SelectedModel) -> bool:
    return (one.bundle.path, one.bundle.sha256, one.on_probation) == (
        other.bundle.path, other.bundle.sha256, other.on_probation,
    )  # fmt: skip
