"""An evaluator: a bundle, a data folder, and the predictions that were made so far, each clip only once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.augment import corruptions
from training.data import splits, synthetic_voices
from training.data.corpora import catalogue, emovo, folder
from training.data.corpora.clip import ORDINARY, Clip, Found, audio_files
from training.data.recordings import Sounds
from training.evaluate import protocol_names
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
    _found: dict[tuple[str, str, int], Predictions] = field(default_factory=dict)
    _sounds: Sounds = field(default_factory=Sounds)

    def predictions(self, which: str, condition: str = "", every: int | None = None) -> Predictions:
        """Return predictions for the clips of a protocol, with a corruption applied to them or none (empty condition).

        Raises `UserError` where the recordings are missing.
        """
        every = every or self.every
        key = (which, condition, every)
        if key not in self._found:
            clips = CLIPS[which](self.data)
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
            clips = UTTERANCES[which](self.data)
            self._found[key] = utterances.predict(
                self.bundle, clips[:: self.every], self._sounds, which, cache=self.cache, quiet=self.quiet
            )
        return self._found[key]

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


def held_out(data: Path) -> list[Clip]:
    """List the clips of the test speakers of `splits.toml`; speakers that are missing are named in the log."""
    split = splits.load()
    clips = split.select(catalogue.clips(catalogue.read(data, split.corpora)), "test")
    if missing := split.test - {clip.speaker for clip in clips}:
        log.warning(
            "not all of the test speakers are there, so the numbers are not comparable: %s missing",
            sorted(missing),
        )
    return clips


def unseen_language(data: Path) -> list[Clip]:
    """List the clips of EMOVO in or below the folder, or of any `DIR/<label>/*`."""
    root = data / "emovo" if (data / "emovo").is_dir() else data
    found = emovo.scan(_folder(root))
    return found.clips or _own(root)


def _own(data: Path) -> list[Clip]:
    found = folder.scan(_folder(data))
    _log_skipped(found)
    return found.clips


def _folder(data: Path) -> Path:
    if not data.is_dir():
        raise UserError(f"{data}: no such folder")
    return data


def _log_skipped(found: Found) -> None:
    if found.clips:
        for reason, paths in found.skipped.items():
            log.warning("%s: %d left out: %s (such as %s)", found.root, len(paths), reason, paths[0])


CLIPS: dict[str, Callable[[Path], list[Clip]]] = {
    "held-out": held_out, "unseen-language": unseen_language, "folder": _own,
}  # fmt: skip


def ordinary(data: Path) -> list[Clip]:
    """List ordinary speech of held-back speakers, meetings, and synthetic voices where espeak-ng is installed."""
    (found,) = catalogue.read(data, ["ordinary"])
    clips = [clip for clip in found.clips if splits.is_held_back(clip)]
    meetings = [
        Clip("meetings", path, f"meetings/{path.stem}", ORDINARY) for path in audio_files(data / "vad")
    ]
    return clips + meetings + list(synthetic_voices.clips())


def labelled(data: Path) -> list[Clip]:
    """List the clips of the test speakers of `splits.toml`, and of EMOVO where it is there."""
    clips = held_out(data)
    if (data / "emovo").is_dir():
        clips += emovo.scan(data / "emovo").clips
    return clips


UTTERANCES: dict[str, Callable[[Path], list[Clip]]] = {"ordinary": ordinary, "labelled": labelled}
