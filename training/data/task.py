"""A training task: the clips to fit, the clips to validate on, and the labels in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edge.protocol.messages import LABELS
from edge.util.errors import UserError
from training.data import splits
from training.data.corpora import catalogue
from training.data.corpora.clip import Clip


@dataclass(frozen=True)
class Task:
    """Clips to fit and to validate on; no speaker is in both. Raises `UserError` where that does not hold."""

    fitting: list[Clip]
    validation: list[Clip]
    """Epochs are measured on these."""
    labels: tuple[str, ...] = LABELS

    def __post_init__(self) -> None:
        if not self.fitting or not self.validation:
            raise UserError("no clips to fit, or no clips to validate on")
        if both := {clip.speaker for clip in self.fitting} & {clip.speaker for clip in self.validation}:
            raise UserError(f"speakers must not cross the split, but {sorted(both)} are on both sides")
        if unknown := {clip.label for clip in self.fitting + self.validation} - set(self.labels):
            raise UserError(f"labels {sorted(unknown)} are not among {', '.join(self.labels)}")

    def sha256(self) -> str:
        """Tells whether a checkpoint belongs to this task: names of files, their labels, and the order of labels."""
        names = [
            [f"{clip.speaker}/{clip.path.name}/{clip.label}" for clip in part]
            for part in (self.fitting, self.validation)
        ]
        return hashlib.sha256(json.dumps([self.labels, *names]).encode()).hexdigest()


def shipped(data: Path) -> Task:
    """The task of the shipped bundles: `fit` and `calibrate` of `splits.toml`. Raises `UserError`."""
    split = splits.load()
    clips = catalogue.clips(catalogue.read(data, split.corpora))
    return Task(split.select(clips, "fit"), split.select(clips, "calibrate"))


def finely(clips: Iterable[Clip]) -> list[Clip]:
    """The same clips with the corpus's own, finer label (RAVDESS: `calm` beside `neutral`)."""
    return [replace(clip, label=clip.fine_label or clip.label) for clip in clips]
