"""A training task: the clips to fit, the clips to validate on, and the labels in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.protocol import LABELS
from edge.util.errors import UserError
from training.data import splits
from training.data.corpora import catalogue, emospeech
from training.data.corpora.clip import Clip


@dataclass(frozen=True)
class Task:
    """What a network learns: clips to fit and clips to validate on.

    Raises `UserError` where a speaker is in both.
    """

    fitting: list[Clip]
    validation: list[Clip]
    """Epochs are measured on these."""
    labels: tuple[str, ...] = LABELS
    ordinary: tuple[Clip, ...] = ()
    """Ordinary speech to fit a relative head with."""

    def __post_init__(self) -> None:
        if not self.fitting or not self.validation:
            raise UserError("no clips to fit, or no clips to validate on")
        if both := {clip.speaker for clip in self.fitting} & {clip.speaker for clip in self.validation}:
            raise UserError(f"speakers must not cross the split, but {sorted(both)} are on both sides")
        if unknown := {clip.label for clip in self.fitting + self.validation} - set(self.labels):
            raise UserError(f"labels {sorted(unknown)} are not among {', '.join(self.labels)}")

    def sha256(self) -> str:
        """Hash the file names, their labels and the order of the labels.

        Shows whether a checkpoint belongs to this task.
        """
        names = [
            [f"{clip.speaker}/{clip.path.name}/{clip.label}" for clip in part]
            for part in (self.fitting, self.validation, *([self.ordinary] if self.ordinary else []))
        ]
        return hashlib.sha256(json.dumps([self.labels, *names]).encode()).hexdigest()


def shipped(data: Path, *, ordinary: bool = False) -> Task:
    """Return the task of the shipped bundles: the speakers `fit` and `calibrate` of `splits.toml`.

    With `ordinary`, it also has the ordinary speech of all speakers that are not held back, and the fitted places of
    `emospeech`, where they are in the data folder; raises `UserError` where there is none.
    """
    split = splits.load()
    clips = catalogue.clips(catalogue.read(data, split.corpora))
    fitting, validation = split.select(clips, "fit"), split.select(clips, "calibrate")
    if not ordinary:
        return Task(fitting, validation)
    (found,) = catalogue.read(data, ["ordinary"])
    talk = tuple(clip for clip in found.clips if not splits.is_held_back(clip))
    if (data / "emospeech").is_dir():
        (field,) = catalogue.read(data, ["emospeech"])
        fitting += [clip for clip in field.clips if clip.fine_label in emospeech.FITTED_PLACES]
    return Task(fitting, validation, ordinary=talk)


def finely(clips: Iterable[Clip]) -> list[Clip]:
    """Return the clips with the finer labels of their corpus (RAVDESS: `calm` beside `neutral`)."""
    return [replace(clip, label=clip.fine_label or clip.label) for clip in clips]
