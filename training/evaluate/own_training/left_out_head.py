"""The head of a finished run, solved again without one source of its ordinary speech.

The encoder is frozen, so the pooled features of the run are used again; what is solved is written as a run of its own,
which `training.export.bundle` exports like any other. How a head does on a source that it was not fitted to is the
leave-one-domain-out estimate of how it does on speech of other places (Gulrajani and Lopez-Paz 2021, arXiv 2007.01434).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data import task as tasks
from training.data.corpora.clip import ORDINARY, Clip
from training.data.recordings import Sounds
from training.fit import batches, checkpoint, closed_form, out_of_fold, relative
from training.fit.inputs import speech_seconds
from training.networks import transformer
from training.networks.head import Solved
from training.recipes.recipe import Probe, Recipe, Relative, from_document

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run with a relative head on a frozen encoder."""

    folder: Path
    history: dict[str, Any]
    recipe: Recipe
    weights: Path
    sha256: str
    """Of the weights."""

    @property
    def settings(self) -> tuple[Probe, Relative]:
        """How the head is solved."""
        assert self.recipe.probe is not None and self.recipe.relative is not None
        return self.recipe.probe, self.recipe.relative

    def notes(self, source: str) -> dict[str, str]:
        """Return what the notes of a run say that was made from this one without a source."""
        return {out_of_fold.LEFT_OUT: source, "weights_sha256": self.sha256}

    def is_solved(self, source: str, out: Path) -> bool:
        """Whether `out` holds the run without `source`. Raises `UserError` where it is of another run or source."""
        if not (out / "history.json").is_file():
            return False
        notes = checkpoint.history_of(out)["notes"]
        if any(notes.get(key) != value for key, value in self.notes(source).items()):
            raise UserError(f"{out} belongs to another run: name another --out, or remove that folder")
        return True


@dataclass(frozen=True)
class RunFeatures:
    """The pooled features of a run: those of `n` clips in all rounds."""

    run: FinishedRun
    labels: tuple[str, ...]
    clips: list[Clip]
    """Those of the clean round, in the order of `pooled`."""
    pooled: NDArray[np.float32]
    """Float32 `[rounds * n, size]`, the clean round first."""
    households: NDArray[np.int64]
    """`[rounds * n]`."""


def sources(data: Path) -> list[str]:
    """Return the sources of ordinary speech that a run on `data` is fitted to, sorted. Raises `UserError` for none."""
    return sorted({clip.corpus for clip in tasks.shipped(data, ordinary=True).ordinary})


def finished_run(folder: Path) -> FinishedRun:
    """Read what a run says of itself.

    Raises `UserError` where it has no relative head on a frozen encoder, has added recordings, or lacks a source
    already.
    """
    history = checkpoint.history_of(folder)
    recipe = from_document(history["recipe"])
    if recipe.relative is None or recipe.probe is None or not recipe.is_frozen:
        raise UserError(f"{folder}: only a relative head on a frozen encoder can be solved without a source")
    if history["notes"].get("added") or history["notes"].get(out_of_fold.LEFT_OUT):
        raise UserError(
            f"{folder}: fitted to added recordings, or without a source already: name a plain run"
        )
    weights = checkpoint.epoch_file(folder, history["history"][-1]["epoch"])
    if not weights.is_file():
        raise UserError(f"{weights} is missing: fit the run again")
    return FinishedRun(folder, history, recipe, weights, hashlib.sha256(weights.read_bytes()).hexdigest())


def read(run: FinishedRun, data: Path, *, quiet: bool = False) -> RunFeatures:
    """Read the pooled features that a run has written; the recordings give their order and their households.

    Raises `UserError` where the run was fitted to other recordings than those of `data`, or lacks a part of the
    features.
    """
    task = tasks.shipped(data, ordinary=True)
    if checkpoint.facts_of(run.folder / "state.npz").get("task_sha256") != task.sha256():
        raise UserError(f"{run.folder} was fitted to other recordings than those of {data}")
    found = sorted(run.folder.glob("pooled-*"))
    if len(found) != 1:
        raise UserError(f"{run.folder} holds {len(found)} folders of pooled features, not one: fit it again")
    sounds = Sounds()
    clips = sounds.readable(task.fitting, "reading", quiet)
    clips += sounds.readable(task.ordinary, "reading ordinary speech", quiet)
    lengths = [speech_seconds(sounds[clip.path]) for clip in clips]
    source = batches.Source(clips, task.labels, sounds, [], run.recipe)
    pooled, _, homes = closed_form.gathered(source, lengths, seed=run.history["seed"], out=found[0])
    order = [clips[index] for index in closed_form.by_length(lengths)]
    return RunFeatures(run, task.labels, order, pooled, homes)


def solve(features: RunFeatures, source: str, out: Path) -> None:
    """Solve the head without the utterances of `source`, and write head, predictions and history as the run `out`.

    The out-of-fold predictions are those of the other utterances alone. Raises `UserError` where no ordinary speech of
    `source` was fitted.
    """
    run = features.run
    there = sorted({clip.corpus for clip in features.clips if clip.label == ORDINARY})
    if source not in there:
        raise UserError(f"no ordinary speech of {source} was fitted: there are {', '.join(there)}")
    (probe, relation), seed = run.settings, run.history["seed"]
    kept = np.array([clip.corpus != source for clip in features.clips])
    rows = np.tile(kept, probe.rounds)
    own = [clip for clip in features.clips if clip.corpus != source]
    log.info("solving the head without %s, for %d examples", source, int(rows.sum()))
    utterances = relative.describe(own, features.labels, features.households[rows], features.pooled[rows])
    size = probe.components or run.recipe.embedding

    def fit(some: relative.Utterances, _: NDArray[np.bool_]) -> Solved:
        return relative.solve(some, probe, relation, size, seed)

    head = fit(utterances, np.ones(len(utterances.label), np.bool_))
    predictions = out_of_fold.predict(utterances, len(own), fit)
    if predictions is None or head.relative_bias is None:
        raise UserError(f"without {source} there are too few speakers for out-of-fold predictions")
    out.mkdir(parents=True, exist_ok=True)
    predictions.write(out / out_of_fold.FILE)
    epoch = run.history["history"][-1]["epoch"]
    checkpoint.save_weights(checkpoint.epoch_file(out, epoch), _installed(run, features.labels, head))
    facts = run.history | {
        "history": [{"epoch": epoch, "fit_loss": round(head.loss, 4)}],
        "relative_bias": [float(value) for value in head.relative_bias],
        "notes": run.history["notes"] | run.notes(source),
    }  # fmt: skip
    # The history is written last: it says that the run is whole.
    checkpoint.write_bytes(out / "history.json", json.dumps(facts, indent=1).encode())


def _installed(run: FinishedRun, labels: Sequence[str], head: Solved) -> Sequence[NDArray[Any]]:
    """The weights of the run with another head."""
    network = transformer.make(run.recipe, len(labels))
    network.set_weights(checkpoint.load_weights(run.weights))
    network.install(head)
    found: list[NDArray[Any]] = network.get_weights()
    return found
