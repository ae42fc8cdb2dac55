"""The protocols: each measures a bundle on one kind of recordings and gives one plain JSON object, or several.

An `Evaluator` predicts each clip once; adaptation, calibration and days of one mood are computed from that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.augment import corruptions
from training.calibrate import confidence
from training.data import splits
from training.data.corpora import catalogue, emovo, folder
from training.data.corpora.clip import Clip, Found
from training.data.recordings import Sounds
from training.evaluate import (
    false_alarms,
    measures,
    one_emotion,
    protocol_names,
    quantisation,
)
from training.evaluate.predict import Predictions, predict

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
    hours: float = protocol_names.HOURS
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
                raise UserError(
                    f"{self.data}: no labelled audio for {which}: {protocol_names.PROTOCOLS[which]}"
                )
            change = self.changes()[condition] if condition else None
            title = f"{which}, {condition}" if condition else which
            self._found[key] = predict(
                self.bundle, clips[::every], self._sounds, title, change=change, quiet=self.quiet
            )
        return self._found[key]

    def changes(self) -> dict[str, corruptions.Change]:
        """All ways of spoiling speech for which there are recordings."""
        found: dict[str, corruptions.Change] = {}
        for make in (self.noises, self.rooms):
            try:
                found |= make()
            except UserError as error:
                log.debug("%s", error)
        return found

    def noises(self) -> dict[str, corruptions.Change]:
        """Name -> noise at a ratio. Raises `UserError` where there is no noise."""
        return {f"{snr} dB": corruptions.noisy(self.data, snr, self._sounds) for snr in corruptions.SNRS_DB}

    def rooms(self) -> dict[str, corruptions.Change]:
        """Name -> room. Raises `UserError` where there is none."""
        return corruptions.rooms(self.data)


def held_out(data: Path) -> list[Clip]:
    """The test speakers of `splits.toml`; those that are not there are named in the log."""
    split = splits.load()
    clips = split.select(catalogue.clips(catalogue.read(data, split.corpora)), "test")
    if missing := split.test - {clip.speaker for clip in clips}:
        log.warning(
            "not all of the test speakers are there, so the numbers are not comparable: %s missing",
            sorted(missing),
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


Objects = list[dict[str, Any]]
Run = Callable[[Evaluator, str | None], Objects]
"""From an evaluator and `adapt` (None or `room`) to the objects of a protocol."""


def _plain(name: str) -> Run:
    def run(evaluator: Evaluator, adapt: str | None) -> Objects:
        return [measure(name, evaluator.bundle, evaluator.predictions(name), adapt)]

    return run


def _spoilt(name: str) -> Run:
    def run(evaluator: Evaluator, adapt: str | None) -> Objects:
        spoilt = evaluator.noises() if name == "noise" else evaluator.rooms()
        result: Objects = []
        for condition in ("", *spoilt):
            found = evaluator.predictions("held-out", condition)
            one = measure(name, evaluator.bundle, found, adapt)
            clean = result[0] if result else one
            result.append(
                one
                | {"condition": condition or "clean"}
                | {"loss": measures.points(clean["accuracy"] - one["accuracy"])}
                | {"loss_macro_f1": measures.points(clean["macro_f1"] - one["macro_f1"])}
            )
        result[0]["mean_loss"] = round(sum(one["loss"] for one in result[1:]) / len(spoilt), 2)
        return result

    return run


def _one_emotion(evaluator: Evaluator, adapt: str | None) -> Objects:
    return [one_emotion.run(evaluator.bundle, evaluator.predictions("held-out"))]


def _calibration(evaluator: Evaluator, adapt: str | None) -> Objects:
    found = evaluator.predictions("held-out")
    one = measure("calibration", evaluator.bundle, found, adapt)
    gain = measures.points(one["accuracy_at_80_coverage"] - one["accuracy"])
    return [one | confidence.reliability(evaluator.bundle, found) | {"gain_at_80_coverage": gain}]


def _false_alarms(evaluator: Evaluator, adapt: str | None) -> Objects:
    return [false_alarms.run(evaluator.bundle, evaluator.data, hours=evaluator.hours, quiet=evaluator.quiet)]


def _quantisation(evaluator: Evaluator, adapt: str | None) -> Objects:
    source = quantisation.source(evaluator.bundle, evaluator.run)
    clips = held_out(evaluator.data)[:: evaluator.every]
    found = evaluator.predictions("held-out")
    return quantisation.run(evaluator.bundle, source, clips, found, evaluator.quiet)


RUNS: dict[str, Run] = {
    "held-out": _plain("held-out"), "unseen-language": _plain("unseen-language"), "folder": _plain("folder"),
    "noise": _spoilt("noise"), "reverberation": _spoilt("reverberation"), "one-emotion": _one_emotion,
    "calibration": _calibration, "false-alarms": _false_alarms, "quantisation": _quantisation,
}  # fmt: skip
CANNOT_ADAPT = ("one-emotion", "false-alarms", "quantisation")


def run_all(protocol: str, evaluator: Evaluator, adapt: str | None = None) -> Objects:
    """The objects of a protocol, one for each condition. Raises `UserError`."""
    protocol_names.check(protocol)
    if protocol not in RUNS:
        raise UserError(f"{protocol} judges a recipe, not a bundle")
    if adapt and protocol in CANNOT_ADAPT:
        raise UserError(f"--adapt makes no sense for {protocol}: {protocol_names.PROTOCOLS[protocol]}")
    if not evaluator.data.is_dir():
        raise UserError(f"{evaluator.data}: no such folder")
    return [one | {"every": evaluator.every} for one in RUNS[protocol](evaluator, adapt)]


def run(
    protocol: str, bundle: Bundle, data: Path, *, every: int = 1, quiet: bool = False
) -> tuple[dict[str, Any], Predictions]:
    """Measures and predictions of a protocol of one condition."""
    evaluator = Evaluator(bundle, data, every, quiet)
    return run_all(protocol, evaluator)[0], evaluator.predictions(protocol)
