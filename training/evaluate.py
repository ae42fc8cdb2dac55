"""The protocols: each measures a bundle on one kind of recordings and gives one plain JSON object, or several.

An `Evaluator` predicts each clip once; adaptation, calibration and days of one mood are computed from that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.errors import UserError
from edge.model.bundle import Bundle
from training import calibrate, conditions, splits
from training.corpora import catalogue, emovo, folder
from training.corpora.clip import Clip, Found
from training.evaluation import false_alarms, measures, one_mood, quantisation
from training.predict import Predictions, predict
from training.sounds import Sounds

log = logging.getLogger(__name__)
measure = measures.measure


@dataclass
class Evaluator:
    """A bundle and a folder of recordings, with the predictions that were made so far."""

    bundle: Bundle
    data: Path
    every: int = 1
    """Only every so many clips."""
    quiet: bool = False
    run: Path | None = None
    """Folder of the run that the bundle comes from, for `quantisation`."""
    hours: float = 2.0
    """Of `false-alarms`."""
    _found: dict[tuple[str, str, int], Predictions] = field(default_factory=dict)
    _sounds: Sounds = field(default_factory=Sounds)

    def predictions(self, which: str, condition: str = "", every: int | None = None) -> Predictions:
        """Of the clips of a protocol, spoilt by a condition or not. Raises `UserError`."""
        every = every or self.every
        key = (which, condition, every)
        if key not in self._found:
            clips = CLIPS[which](self.data)
            if not clips:
                raise UserError(f"{self.data}: no labelled audio for {which}: {PROTOCOLS[which].text}")
            change = self.conditions()[condition] if condition else None
            title = f"{which}, {condition}" if condition else which
            self._found[key] = predict(
                self.bundle, clips[::every], self._sounds, title, change=change, quiet=self.quiet
            )
        return self._found[key]

    def conditions(self) -> dict[str, conditions.Change]:
        """All ways of spoiling speech for which there are recordings; `noise_names` and `room_names` tell them apart."""
        found: dict[str, conditions.Change] = {}
        for make in (self.noises, self.rooms):
            try:
                found |= make()
            except UserError as error:
                log.debug("%s", error)
        return found

    def noises(self) -> dict[str, conditions.Change]:
        """Name -> noise at a ratio. Raises `UserError` where there is no noise."""
        return {f"{snr} dB": conditions.noisy(self.data, snr, self._sounds) for snr in conditions.SNRS_DB}

    def rooms(self) -> dict[str, conditions.Change]:
        """Name -> room. Raises `UserError` where there is none."""
        return conditions.rooms(self.data)


def held_out(data: Path) -> list[Clip]:
    """The test speakers of `splits.toml`; those that are not there are named in the log."""
    split = splits.load()
    clips = split.select(catalogue.clips(catalogue.read(data, split.corpora)), "test")
    if missing := split.test - {clip.speaker for clip in clips}:
        log.warning(
            "not all of the test speakers are there, so the numbers are not comparable: %s missing", sorted(missing)
        )
    return clips


def unseen_language(data: Path) -> list[Clip]:
    """EMOVO below the folder, or in it, or any `DIR/<label>/*`."""
    root = data / "emovo" if (data / "emovo").is_dir() else data
    found = emovo.scan(_folder(root))
    return found.clips or _own(root)


def _own(data: Path) -> list[Clip]:
    found = folder.scan(_folder(data))
    _say_skipped(found)
    return found.clips


def _folder(data: Path) -> Path:
    if not data.is_dir():
        raise UserError(f"{data}: no such folder")
    return data


def _say_skipped(found: Found) -> None:
    if found.clips:
        for reason, paths in found.skipped.items():
            log.warning("%s: %d left out: %s (such as %s)", found.root, len(paths), reason, paths[0])


CLIPS: dict[str, Callable[[Path], list[Clip]]] = {
    "held-out": held_out, "unseen-language": unseen_language, "folder": _own,
}  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """How to run it: from an evaluator and `adapt` (None or `room`) to its objects."""

    text: str
    run: Callable[[Evaluator, str | None], Iterator[dict[str, Any]]]
    adapts: bool = True
    """Whether `--adapt room` makes sense."""


def _plain(name: str) -> Callable[[Evaluator, str | None], Iterator[dict[str, Any]]]:
    def run(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
        found = evaluator.predictions(name)
        yield measure(name, evaluator.bundle, found, adapt) | {"every": evaluator.every}

    return run


def _spoilt(name: str) -> Callable[[Evaluator, str | None], Iterator[dict[str, Any]]]:
    def run(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
        names = evaluator.noises() if name == "noise" else evaluator.rooms()
        clean: dict[str, Any] = {}
        for condition in ("", *names):
            found = evaluator.predictions("held-out", condition)
            one = measure(name, evaluator.bundle, found, adapt)
            clean = clean or one
            yield one | {
                "condition": condition or "clean", "every": evaluator.every,
                "loss": measures.points(clean["accuracy"] - one["accuracy"]),
                "loss_macro_f1": measures.points(clean["macro_f1"] - one["macro_f1"]),
            }  # fmt: skip

    return run


def _one_mood(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
    yield one_mood.run(evaluator.bundle, evaluator.predictions("held-out")) | {"every": evaluator.every}


def _calibration(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
    found = evaluator.predictions("held-out")
    one = measure("calibration", evaluator.bundle, found, adapt)
    yield one | calibrate.reliability(evaluator.bundle, found) | {
        "gain_at_80_coverage": measures.points(one["accuracy_at_80_coverage"] - one["accuracy"]),
        "every": evaluator.every,
    }  # fmt: skip


def _false_alarms(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
    yield false_alarms.run(evaluator.bundle, evaluator.data, hours=evaluator.hours, quiet=evaluator.quiet)


def _quantisation(evaluator: Evaluator, adapt: str | None) -> Iterator[dict[str, Any]]:
    clips = held_out(evaluator.data)[:: evaluator.every]
    found = evaluator.predictions("held-out")
    yield from quantisation.run(evaluator.bundle, evaluator.run, clips, found, evaluator.quiet)


PROTOCOLS: dict[str, Protocol] = {
    "held-out": Protocol(
        "RAVDESS actors and nEMO speakers of splits.toml that no part of the training heard", _plain("held-out")
    ),
    "unseen-language": Protocol(
        "EMOVO (Italian), or DIR/<label>/* in a language that was never heard", _plain("unseen-language")
    ),
    "folder": Protocol("any DIR/<label>/* or DIR/<label>/<speaker>/* of audio", _plain("folder")),
    "noise": Protocol(
        "held-out with recorded noise that no training heard, at 20, 10, 5 and 0 dB; loss in points", _spoilt("noise")
    ),
    "reverberation": Protocol(
        "held-out in measured rooms that no training heard; loss in points", _spoilt("reverberation")
    ),
    "one-mood": Protocol(
        "held-out, 200 utterances of one label in a row: what adaptation to the room then costs", _one_mood, False
    ),
    "calibration": Protocol(
        "held-out: calibration error, the bins of its diagram, accuracy of the surest 80 %", _calibration
    ),
    "false-alarms": Protocol(
        "hours without speech through detector, segmenter and classifier: events an hour", _false_alarms, False
    ),
    "quantisation": Protocol(
        "held-out: the bundle against a float conversion of the same weights (--run)", _quantisation, False
    ),
}
OWN_TRAINING = {
    "ravdess-si": "the recipe trained five times on the published folds of RAVDESS, 8 emotions (--recipe, --out)",
    "thesis": "the recipe trained on a random 80/20 split, 6 classes, of CREMA-D, RAVDESS, SAVEE, TESS (--recipe, --out)",
}
"""Protocols that judge a recipe and not a bundle: `training.evaluation.own_training`."""


def run_all(protocol: str, evaluator: Evaluator, adapt: str | None = None) -> list[dict[str, Any]]:
    """The objects of a protocol, one for each condition. Raises `UserError`."""
    if protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol {protocol}: there are {', '.join([*PROTOCOLS, *OWN_TRAINING])}")
    if adapt and not PROTOCOLS[protocol].adapts:
        raise UserError(f"--adapt makes no sense for {protocol}: {PROTOCOLS[protocol].text}")
    if not evaluator.data.is_dir():
        raise UserError(f"{evaluator.data}: no such folder")
    return list(PROTOCOLS[protocol].run(evaluator, adapt))


def run(
    protocol: str, bundle: Bundle, data: Path, *, every: int = 1, quiet: bool = False
) -> tuple[dict[str, Any], Predictions]:
    """Measures and predictions of a protocol of one condition."""
    evaluator = Evaluator(bundle, data, every, quiet)
    return run_all(protocol, evaluator)[0], evaluator.predictions(protocol)
