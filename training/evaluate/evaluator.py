"""An evaluator: a bundle, a data folder, and the predictions that were made so far, each clip only once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.augment import corruptions
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.evaluate import clip_lists, protocol_names
from training.metrics import utterances
from training.metrics.predictions import Predictions, predict

log = logging.getLogger(__name__)


@dataclass
class Evaluator:
    """Runs a bundle on a folder of recordings, and keeps the predictions that were made already."""

    bundle: Bundle
    data: Path
    every: int = 1
    """Only every so many clips."""
    quiet: bool = False
    run: Path | None = None
    """Folder of the run that the bundle comes from, for `quantisation`."""
    hours: float = protocol_names.HOURS
    """Of `false-alarms`."""
    cache: Path | None = None
    """Folder in which the outputs of utterances are kept for the next time."""
    all_speakers: bool = False
    """Of `ordinary`: all speakers of every source, not only those that are held back for tests."""
    _found: dict[tuple[str, str, int], Predictions] = field(default_factory=dict)
    _sounds: Sounds = field(default_factory=Sounds)

    def predictions(self, which: str, condition: str = "", every: int | None = None) -> Predictions:
        """Return predictions for the clips of a protocol, with a corruption applied to them or none (empty condition).

        Raises `UserError` where the recordings are missing.
        """
        every = every or self.every
        key = (which, condition, every)
        if key not in self._found:
            clips = clip_lists.CLIPS[which](self.data)
            if not clips:
                raise UserError(
                    f"{self.data}: no labelled audio for {which}: {protocol_names.PROTOCOLS[which]}"
                )
            change = self.changes()[condition] if condition else None
            title = f"{which}, {condition}" if condition else which
            self._found[key] = predict(
                self.bundle, clips[::every], self._sounds, title, change=change, quiet=self.quiet
            )
        return self._found[key]

    def utterances(self, which: str) -> Predictions:
        """Return predictions for the utterances of `ordinary` or `labelled` speech, cut as the device does.

        Raises `UserError` where the recordings are missing.
        """
        key = (which, "utterances", self.every)
        if key not in self._found:
            clips = self._clips_of(which)
            self._found[key] = utterances.predict(
                self.bundle, clips[:: self.every], self._sounds, which, cache=self.cache, quiet=self.quiet
            )
        return self._found[key]

    def _clips_of(self, which: str) -> list[Clip]:
        if which == "ordinary":
            return clip_lists.ordinary(self.data, all_speakers=self.all_speakers)
        return clip_lists.labelled(self.data)

    def changes(self) -> dict[str, corruptions.Change]:
        """Return the corruptions (noise, rooms) that can be applied, by name; without recordings they are left out."""
        found: dict[str, corruptions.Change] = {}
        for make in (self.noises, self.rooms):
            try:
                found |= make()
            except UserError as error:
                log.debug("%s", error)
        return found

    def noises(self) -> dict[str, corruptions.Change]:
        """Return, by name, functions that add noise at each ratio. Raises `UserError` where there is no noise."""
        return {f"{snr} dB": corruptions.noisy(self.data, snr, self._sounds) for snr in corruptions.SNRS_DB}

    def rooms(self) -> dict[str, corruptions.Change]:
        """Return, by name, functions that add the reverberation of a measured room.

        Raises `UserError` where there is none.
        """
        return corruptions.rooms(self.data)
