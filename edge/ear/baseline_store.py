"""Keeps the room's mean: what may enter it, when it is written, and when it is forgotten.

Into the mean goes speech that is long enough, not clipped, and well above the room's noise. Whether the classifier was
sure of it does not matter: leaving out what it finds `uncertain` would leave out the very utterances that the room has
made hard, and tilt the mean towards the emotions that are easy to tell.

Everything here is called by the ear's main thread, and nothing here ends the ear: a disk that takes nothing is said
once and the mean lives in memory.
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
from edge.ear.baseline_file import BaselineFileError, Kept
from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle, BundleError
from edge.inference.classifier import Result
from edge.util import timestamps

log = logging.getLogger(__name__)

SAVE_PERIOD_S: Final = 600.0
"""At most six small writes an hour: less than the journal takes of an SD card."""
LOOK_PERIOD_S: Final = 1.0
MIN_KEPT: Final = 20
"""A mean of fewer utterances is not written: it would say more of each than of the room."""
MIN_SNR_DB: Final = 6.0
"""Softer speech, and noise that was taken for speech, does not enter the mean."""
MAX_CLIPPED: Final = 0.005
"""Share of samples at full scale above which the microphone was overloaded."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well an utterance was recorded."""

    snr_db: float
    clipped: float
    """Share of samples at full scale."""

    @property
    def good(self) -> bool:
        """Whether the mean may learn from it."""
        return self.snr_db >= MIN_SNR_DB and self.clipped <= MAX_CLIPPED


class Adaptation:
    """One room's mean with its file; `room` is what the classifier is given. The first look makes the file."""

    def __init__(
        self, path: Path, bundle: Bundle, memory: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._bundle = bundle
        self._now = now
        self._on_disk = False
        self._complained = False
        self._since = timestamps.now()
        self._saved_heard = 0
        self.room = Baseline.of(bundle, memory)
        self._load()
        self._look_due = self._now()
        self._save_due = self._now() + SAVE_PERIOD_S
        if not self._on_disk:
            self._save()

    def _load(self) -> None:
        try:
            kept = baseline_file.read(self._path)
            if kept is None:
                return
            if kept.model_sha256 != self._bundle.sha256:
                log.info("the mean of this room was of another model (%s) and is dropped", kept.model)
                return
            self.room.resume(kept.room)
        except (BaselineFileError, ValueError, OSError) as error:
            log.warning("%s cannot be used and is dropped: %s", self._path, error)
            return
        self._since, self._saved_heard, self._on_disk = kept.since, self.room.heard, True
        log.info("adapted to this room by %d utterances since %s", self.room.heard, self._since)

    def learn(self, result: Result, quality: Quality) -> None:
        """Takes what may enter the mean."""
        if result.trusted and quality.good:
            self.room.add(result.logits)

    def look(self) -> None:
        """Notices that somebody wants it forgotten, and saves when it is time. Cheap; call it as often as you like."""
        now = self._now()
        if now < self._look_due:
            return
        self._look_due = now + LOOK_PERIOD_S
        if self._on_disk and self._is_gone():
            self._start_over()
            self._on_disk = False
            self._save()
        elif now >= self._save_due:
            self._save_due = now + SAVE_PERIOD_S
            self._save_if_worth()

    def close(self) -> None:
        """Saves for the last time."""
        self._save_if_worth()

    def _save_if_worth(self) -> None:
        news = self.room.heard != self._saved_heard and self.room.heard >= MIN_KEPT
        if news or not self._on_disk:
            self._save()

    def _save(self) -> None:
        """Writes the mean, or none of it while too little was heard; forgets where somebody was quicker."""
        enough = self.room.heard >= MIN_KEPT
        fresh = Baseline.of(self._bundle)
        try:
            with baseline_file.locked(self._path):
                if self._on_disk and self._is_gone():
                    self._start_over()
                    enough = False
                kept = Kept(
                    model=self._bundle.full_name,
                    model_sha256=self._bundle.sha256,
                    since=self._since,
                    saved=timestamps.now(),
                    room=(self.room if enough else fresh).to_state(),
                )
                baseline_file.write(self._path, kept)
        except OSError as error:
            if not self._complained:
                log.warning("%s cannot be written (%s): a restart will forget this room", self._path, error)
            self._complained = True
            return
        self._on_disk, self._complained = True, False
        self._saved_heard = self.room.heard if enough else 0

    def _is_gone(self) -> bool:
        try:
            return not self._path.exists()
        except OSError:
            return False

    def _start_over(self) -> None:
        log.info("the mean of this room is forgotten (%d utterances)", self.room.heard)
        self.room.forget()
        self._since = timestamps.now()


def begin(config: Config, bundle: Bundle) -> Adaptation | None:
    """The adaptation that the configuration asks for; None where it is off or the bundle does not allow it.

    Where it is not used, nothing is kept either.
    """
    path = baseline_file.path_of(config)
    why = "`baseline.enabled` is off"
    if config.baseline.enabled:
        try:
            return Adaptation(path, bundle, config.baseline.memory)
        except BundleError as error:
            why = str(error)
    log.info("not adapted to the room: %s", why)
    try:
        if baseline_file.forget(path):
            log.info("the mean of this room is forgotten")
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error)
    return None
