"""Maintains the baseline: which utterances update it, when it is saved, and when it is deleted.

Speech updates it that is long enough, not clipped, and well above the noise of the room. The result of the classifier
does not matter here: the baseline itself gives little weight to what seems emotional.

Everything here is called by the ear's main thread, and nothing here ends the ear: a disk that cannot be written is
logged once, and the baseline stays in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.settings import Config
from edge.ear import baseline_file
from edge.ear.baseline_file import BaselineFileError, SavedBaseline
from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle, BundleError
from edge.inference.classifier import Result
from edge.util import timestamps

log = logging.getLogger(__name__)

SAVE_PERIOD_S: Final = 600.0
"""At most six small writes an hour: less wear of an SD card than the journal causes."""
POLL_PERIOD_S: Final = 1.0
MIN_UTTERANCES: Final = 20
"""A baseline of fewer utterances is not saved: it would reveal more about each of them than about the room."""
MIN_SNR_DB: Final = 6.0
"""Utterances below this signal-to-noise ratio do not update the baseline."""
MAX_CLIPPED: Final = 0.005
"""Share of samples at full scale above which an utterance counts as clipped."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well an utterance was recorded."""

    snr_db: float
    clipped: float
    """Share of samples at full scale."""

    @property
    def good(self) -> bool:
        """Whether the utterance may update the baseline."""
        return self.snr_db >= MIN_SNR_DB and self.clipped <= MAX_CLIPPED


class BaselineStore:
    """The baseline of one room with its file; the classifier reads `baseline`. Creates the file at once."""

    def __init__(
        self, path: Path, bundle: Bundle, memory: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._bundle = bundle
        self._now = now
        self._on_disk = False
        self._write_failed = False
        self._since = timestamps.now()
        self._saved_utterances = 0
        self.baseline = Baseline.from_bundle(bundle, memory)
        self._load()
        self._poll_due = self._now()
        self._save_due = self._now() + SAVE_PERIOD_S
        if not self._on_disk:
            self._save()

    def _load(self) -> None:
        try:
            saved = baseline_file.read(self._path)
            if saved is None:
                return
            # Bundles of the same graph may differ in what they make of its outputs.
            if (saved.model, saved.model_sha256) != (self._bundle.full_name, self._bundle.sha256):
                log.info(
                    "[baseline_replaced] the saved baseline belongs to another model (%s) and is dropped",
                    saved.model,
                )
                return
            self.baseline.restore(saved.baseline)
        except (BaselineFileError, ValueError, OSError) as error:
            log.warning("[baseline_damaged] %s cannot be used and is dropped: %s", self._path, error)
            return
        self._since, self._saved_utterances, self._on_disk = saved.since, self.baseline.utterances, True
        log.info("[baseline_loaded] baseline: %d utterances since %s", self.baseline.utterances, self._since)

    def update(self, result: Result, quality: Quality) -> None:
        """Add an utterance to the baseline in memory; `poll` and `close` save it.

        One with too little speech or a poor recording (noisy, clipped) is left out.
        """
        if result.enough_speech and quality.good:
            self.baseline.add(result.outputs)

    def poll(self) -> None:
        """Reset the baseline where its file was removed, and save it when that is due. Cheap; call it often."""
        now = self._now()
        if now < self._poll_due:
            return
        self._poll_due = now + POLL_PERIOD_S
        if self._on_disk and self._is_gone():
            self._reset()
            self._on_disk = False
            self._save()
        elif now >= self._save_due:
            self._save_due = now + SAVE_PERIOD_S
            self._save_if_changed()

    def close(self) -> None:
        """Save for the last time."""
        self._save_if_changed()

    def _save_if_changed(self) -> None:
        changed = (
            self.baseline.utterances != self._saved_utterances and self.baseline.utterances >= MIN_UTTERANCES
        )
        if changed or not self._on_disk:
            self._save()

    def _save(self) -> None:
        """Save the baseline, an empty one while there are too few utterances; reset it where the file was removed."""
        enough = self.baseline.utterances >= MIN_UTTERANCES
        fresh = Baseline.from_bundle(self._bundle)
        try:
            with baseline_file.locked(self._path):
                if self._on_disk and self._is_gone():
                    self._reset()
                    enough = False
                saved = SavedBaseline(
                    model=self._bundle.full_name,
                    model_sha256=self._bundle.sha256,
                    since=self._since,
                    saved=timestamps.now(),
                    baseline=(self.baseline if enough else fresh).to_state(),
                )
                baseline_file.write(self._path, saved)
        except OSError as error:
            if not self._write_failed:
                log.warning(
                    "[baseline_not_saved] %s cannot be written (%s): the baseline will be lost at a restart",
                    self._path,
                    error,
                )
            self._write_failed = True
            return
        self._on_disk, self._write_failed = True, False
        self._saved_utterances = self.baseline.utterances if enough else 0

    def _is_gone(self) -> bool:
        try:
            return not self._path.exists()
        except OSError:
            return False

    def _reset(self) -> None:
        log.info("[baseline_reset] baseline deleted (%d utterances)", self.baseline.utterances)
        self.baseline.reset()
        self._since = timestamps.now()


def open_store(config: Config, bundle: Bundle) -> BaselineStore | None:
    """Open the baseline that the configuration asks for; None where it is off or the bundle has an absolute head.

    Where it is not used, a saved one is removed.
    """
    path = baseline_file.baseline_path(config)
    reason = "`baseline.enabled` is off"
    if config.baseline.enabled:
        try:
            return BaselineStore(path, bundle, config.baseline.memory)
        except BundleError as error:
            reason = str(error)
    log.info("[baseline_off] no baseline: %s", reason)
    try:
        if baseline_file.forget(path):
            log.info("[baseline_removed] saved baseline removed")
    except OSError as error:
        log.warning("[baseline_not_removed] %s cannot be removed: %s", path, error)
    return None
