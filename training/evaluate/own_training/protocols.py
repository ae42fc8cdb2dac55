"""Protocols that evaluate a recipe by training it: `ravdess-si` (five published folds) and `random-split`.

Each fold has a folder below `--out` with its run, its int8 graph and its predictions; a fold that is done is not done
again, so a killed evaluation goes on where it was. Tested clips are watched during training, but nothing is chosen by
them: the last epoch counts.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import MODEL
from edge.util.errors import UserError
from training.data.corpora import catalogue
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.data.task import Task, finely
from training.evaluate import graphs
from training.evaluate.own_training import refit as fitting
from training.fit import checkpoint
from training.metrics import classification as metrics
from training.metrics.classification import points
from training.metrics.predictions import predict, softmax
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)
Float = NDArray[np.float64]
RAVDESS_LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
RAVDESS_FOLDS = (
    ("02", "05", "14", "15", "16"), ("03", "06", "07", "13", "18"), ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"), ("01", "04", "09", "22"),
)  # fmt: skip
"""Actors of each test fold, as published by Luna-Jimenez et al. 2022 (Appl. Sci. 12(1):327)."""
RANDOM_SPLIT_LABELS = ("neutral", "happy", "sad", "angry", "fearful", "disgust")
RANDOM_SPLIT_CORPORA = ("crema-d", "ravdess", "savee", "tess")
TESTED_SHARE = 0.2
RESULT = "result.npz"

Train = Callable[[fitting.Lesson], Path]
"""From what there is to learn to the weights of the last epoch."""
Convert = Callable[[fitting.Lesson, Path, Path], None]
"""From the lesson, its weights and the `.tflite` to write."""


@dataclass(frozen=True)
class Fold:
    """One fold of a protocol: clips to fit and clips to test, whose `label` is one of the protocol's."""

    name: str
    fitting: list[Clip]
    testing: list[Clip]


@dataclass(frozen=True)
class Job:
    """What to train, on what data, and where to; `train` and `convert` can be replaced in tests."""

    recipe: Recipe
    data: Path
    out: Path
    seed: int = 1
    quiet: bool = False
    train: Train = fitting.train
    convert: Convert = fitting.to_int8


def run(protocol: str, job: Job) -> list[dict[str, Any]]:
    """Train and test all folds of `ravdess-si` or `random-split`; finished folds are not done again.

    Returns a list of a single JSON object, with the means over the folds and the numbers of each fold.

    Raises `UserError` where the recordings are missing (an actor of RAVDESS, or all corpora of
    `random-split`), and where `job.out` holds folds of another recipe or seed.
    """
    # Nothing is tuned here, and only `tune` removes units: an encoder as it came has all of them.
    job = replace(job, recipe=job.recipe.wide)
    if protocol == "ravdess-si":
        labels, folds, notes = ravdess_folds(job.data)
    else:
        labels, folds, notes = random_split(job.data, job.seed)
    parts = []
    for fold in folds:
        held = _held(job, fold.name, labels)
        if held is None:
            log.info("%s: %d clips to fit, %d to test", fold.name, len(fold.fitting), len(fold.testing))
            held = _fold(job, fold, labels)
        parts.append((fold.name, *held))
        numbers = metrics.summary(softmax(held[0]), held[1], labels)
        log.info("%s: accuracy %.4f, UAR %.4f", fold.name, numbers["accuracy"], numbers["uar"])
    return [summarise(protocol, job, labels, parts) | notes]


def summarise(
    protocol: str, job: Job, labels: Sequence[str], parts: Sequence[tuple[str, Float, NDArray[np.int64]]]
) -> dict[str, Any]:
    """Summarise the folds: name, logits float64 `[n, labels]` and true label indices int64 `[n]` of each.

    Returns a JSON object. Accuracy, UAR and macro F1 are means over the folds; all other numbers are of all clips
    together.
    """
    each = {name: metrics.summary(softmax(logits), truth, labels) for name, logits, truth in parts}
    together = metrics.summary(
        softmax(np.concatenate([logits for _, logits, _ in parts])),
        np.concatenate([truth for _, _, truth in parts]),
        labels,
    )
    means = {
        key: float(np.mean([one[key] for one in each.values()])) for key in ("accuracy", "uar", "macro_f1")
    }
    return {
        "protocol": protocol, "bundle": None, "recipe": job.recipe.name, "recipe_sha256": job.recipe.sha256(),
        "seed": job.seed, **together, **means, "coverage": 1.0, "accuracy_all_clips": together["accuracy"],
        "spread": points(float(np.std([one["accuracy"] for one in each.values()]))),
        "folds": {
            name: {key: one[key] for key in ("n", "accuracy", "uar", "macro_f1")} for name, one in each.items()
        },
    }  # fmt: skip


def _fold(job: Job, fold: Fold, labels: Sequence[str]) -> tuple[Float, NDArray[np.int64]]:
    folder, recipe = job.out / fold.name, job.recipe
    task = Task(fold.fitting, fold.testing, tuple(labels))
    lesson = fitting.Lesson(recipe, job.data, task, folder, job.seed, job.quiet)
    if recipe.is_frozen:
        # What the encoder says of a clip does not depend on the fold: it is asked once, not five times.
        lesson = replace(lesson, pooled=job.out, also=fold.testing)
    weights = job.train(lesson)
    model = folder / MODEL
    if not model.is_file():
        job.convert(lesson, weights, model)
    bundle = graphs.bare(folder, recipe.name, labels, recipe.embedding)
    found = predict(bundle, fold.testing, Sounds(), fold.name, labels=labels, quiet=job.quiet)
    arrays: dict[str, NDArray[Any]] = {"logits": found.logits, "truth": found.truth}
    arrays["facts"] = np.frombuffer(json.dumps(_facts(job, labels)).encode(), np.uint8)
    checkpoint.write_arrays(folder / RESULT, arrays)
    return found.logits, found.truth


def _facts(job: Job, labels: Sequence[str]) -> dict[str, Any]:
    return {"recipe_sha256": job.recipe.sha256(), "seed": job.seed, "labels": list(labels)}


def _held(job: Job, name: str, labels: Sequence[str]) -> tuple[Float, NDArray[np.int64]] | None:
    """The predictions of a fold that is done, or None. Raises `UserError` for those of another recipe or seed."""
    path = job.out / name / RESULT
    if not path.exists():
        return None
    if checkpoint.facts_of(path) != _facts(job, labels):
        raise UserError(
            f"{path} belongs to another recipe or seed: name another --out, or remove that folder"
        )
    with np.load(path) as archive:
        logits, truth = archive["logits"], archive["truth"]
    # Earlier versions left out the eighth label: such a fold is tested again.
    return (logits, truth) if logits.shape[1] == len(labels) else None


def ravdess_folds(data: Path) -> tuple[tuple[str, ...], list[Fold], dict[str, Any]]:
    """Build the five published folds of RAVDESS; returns labels, folds and notes.

    Raises `UserError` where an actor is missing, as other folds could not be compared with published results.
    """
    (found,) = catalogue.read(data, ["ravdess"])
    clips = finely(found.clips)
    wanted = {actor for fold in RAVDESS_FOLDS for actor in fold}
    if missing := wanted - {clip.speaker.removeprefix("ravdess/") for clip in clips}:
        raise UserError(
            f"{data / 'ravdess'}: actors {', '.join(sorted(missing))} are missing: the folds need all 24"
        )
    folds = []
    for index, actors in enumerate(RAVDESS_FOLDS):
        tested = {f"ravdess/{actor}" for actor in actors}
        folds.append(
            Fold(
                f"fold-{index}",
                [clip for clip in clips if clip.speaker not in tested],
                [clip for clip in clips if clip.speaker in tested],
            )
        )
    return RAVDESS_LABELS, folds, {"corpora": {"ravdess": len(clips)}}


def random_split(data: Path, seed: int) -> tuple[tuple[str, ...], list[Fold], dict[str, Any]]:
    """Split the clips at random: a fifth of each label of each corpus is for testing.

    Returns the labels, the single fold, and notes about the corpora that were found.

    Raises `UserError` where none of the corpora is there.
    """
    there = [name for name in RANDOM_SPLIT_CORPORA if (data / name).is_dir()]
    if not there:
        raise UserError(f"{data} holds none of {', '.join(RANDOM_SPLIT_CORPORA)}")
    clips = [
        clip for clip in catalogue.clips(catalogue.read(data, there)) if clip.label in RANDOM_SPLIT_LABELS
    ]
    fitting, testing = [], []
    for cell in sorted({(clip.corpus, clip.label) for clip in clips}):
        own = [clip for clip in clips if (clip.corpus, clip.label) == cell]
        random = np.random.default_rng([seed, there.index(cell[0]), RANDOM_SPLIT_LABELS.index(cell[1])])
        order = [own[int(place)] for place in random.permutation(len(own))]
        count = round(TESTED_SHARE * len(own))
        # The same speakers are on both sides, as in published random splits; a task refuses that, so they get other
        # names.
        testing += [replace(clip, speaker=f"{clip.speaker}, tested") for clip in order[:count]]
        fitting += order[count:]
    absent = [name for name in RANDOM_SPLIT_CORPORA if name not in there]
    notes = {"corpora": dict(Counter(clip.corpus for clip in clips)), "absent": absent}
    return RANDOM_SPLIT_LABELS, [Fold("split", fitting, testing)], notes
