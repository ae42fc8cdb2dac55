"""The protocols by name: each gives one plain JSON object, or one for each of its conditions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.calibrate import confidence
from training.evaluate import protocol_names
from training.evaluate.clip_lists import held_out
from training.evaluate.evaluator import Evaluator
from training.evaluate.household import arousal, episodes, households, one_emotion, ordinary
from training.evaluate.labelled import quantisation
from training.evaluate.labelled.measures import measure
from training.evaluate.stream import false_alarms, vad
from training.metrics.classification import points
from training.metrics.predictions import Predictions

log = logging.getLogger(__name__)
Objects = list[dict[str, Any]]
Run = Callable[[Evaluator, str | None], Objects]
"""From an evaluator and `adapt` (None or `baseline`) to the objects of a protocol."""


def _plain(name: str) -> Run:
    def run(evaluator: Evaluator, adapt: str | None) -> Objects:
        return [measure(name, evaluator.bundle, evaluator.predictions(name), adapt)]

    return run


def _corrupted(name: str) -> Run:
    def run(evaluator: Evaluator, adapt: str | None) -> Objects:
        corrupted = evaluator.noises() if name == "noise" else evaluator.rooms()
        result: Objects = []
        for condition in ("", *corrupted):
            found = evaluator.predictions("held-out", condition)
            one = measure(name, evaluator.bundle, found, adapt)
            clean = result[0] if result else one
            result.append(
                one
                | {"condition": condition or "clean"}
                | {"loss": points(clean["accuracy"] - one["accuracy"])}
                | {"loss_macro_f1": points(clean["macro_f1"] - one["macro_f1"])}
                | {"household": households.at_home(evaluator.bundle, found)}
            )
        result[0]["mean_loss"] = round(sum(one["loss"] for one in result[1:]) / len(corrupted), 2)
        result[0]["mean_loss_household"] = {
            name: {
                key: points(share - sum(one["household"][name][key] for one in result[1:]) / len(corrupted))
                for key, share in shares.items()
            }
            for name, shares in result[0]["household"].items()
        }
        return result

    return run


def _ordinary(evaluator: Evaluator, adapt: str | None) -> Objects:
    return [ordinary.run(evaluator.bundle, evaluator.utterances("ordinary"))]


def _household(evaluator: Evaluator, adapt: str | None) -> Objects:
    return households.run(evaluator.bundle, evaluator.utterances("labelled"))


def _episodes(evaluator: Evaluator, adapt: str | None) -> Objects:
    return episodes.run(evaluator.bundle, evaluator.utterances("labelled"), _talk(evaluator))


def _arousal(evaluator: Evaluator, adapt: str | None) -> Objects:
    return arousal.run(evaluator.bundle, evaluator.utterances("labelled"), _talk(evaluator))


def _talk(evaluator: Evaluator) -> Predictions | None:
    """Ordinary speech to compare with, where there is any that may be used."""
    if not (evaluator.data / "ordinary").is_dir():
        return None
    try:
        return evaluator.utterances("ordinary")
    except UserError as error:
        log.warning("without ordinary speech: %s", error)
        return None


def _one_emotion(evaluator: Evaluator, adapt: str | None) -> Objects:
    return [one_emotion.run(evaluator.bundle, evaluator.utterances("labelled"))]


def _vad(evaluator: Evaluator, adapt: str | None) -> Objects:
    return [vad.run(evaluator.data, quiet=evaluator.quiet)]


def _calibration(evaluator: Evaluator, adapt: str | None) -> Objects:
    found = evaluator.predictions("held-out")
    one = measure("calibration", evaluator.bundle, found, adapt)
    gain = points(one["accuracy_at_80_coverage"] - one["accuracy"])
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
    "noise": _corrupted("noise"), "reverberation": _corrupted("reverberation"), "one-emotion": _one_emotion,
    "calibration": _calibration, "false-alarms": _false_alarms, "quantisation": _quantisation,
    "ordinary": _ordinary, "household": _household, "episodes": _episodes, "arousal": _arousal, "vad": _vad,
}  # fmt: skip
CANNOT_ADAPT = (*protocol_names.HOUSEHOLD, "false-alarms", "quantisation", "vad")


def run_all(protocol: str, evaluator: Evaluator, adapt: str | None = None) -> Objects:
    """Run a protocol that measures a bundle; returns its JSON objects, one for each condition.

    `adapt`: None or `baseline`, which adapts to the room first. Raises `UserError` for an unknown
    protocol, one that measures a recipe or cannot adapt, and for missing data.
    """
    protocol_names.check(protocol)
    if protocol not in RUNS:
        raise UserError(f"{protocol} measures a recipe, not a bundle")
    if adapt and protocol in CANNOT_ADAPT:
        raise UserError(f"--adapt makes no sense for {protocol}: {protocol_names.PROTOCOLS[protocol]}")
    if not evaluator.data.is_dir():
        raise UserError(f"{evaluator.data}: no such folder")
    return [one | {"every": evaluator.every} for one in RUNS[protocol](evaluator, adapt)]


def run(
    protocol: str, bundle: Bundle, data: Path, *, every: int = 1, quiet: bool = False
) -> tuple[dict[str, Any], Predictions]:
    """Run a protocol that has only one condition; returns its measures and its predictions."""
    evaluator = Evaluator(bundle, data, every, quiet)
    return run_all(protocol, evaluator)[0], evaluator.predictions(protocol)
