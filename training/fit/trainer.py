"""Fits a recipe: epochs with checkpoints, continues after a kill with exactly the batches it would have had."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.inference import features
from edge.util.errors import UserError
from training.augment import room_simulation
from training.data import batches
from training.data import task as tasks
from training.data.corpora import noise
from training.data.corpora.clip import Clip
from training.data.recordings import Sounds
from training.data.task import Task
from training.fit import (
    checkpoint,
    closed_form,
    distillation,
    optimizer,
    out_of_fold,
)
from training.fit.recipe import Recipe
from training.fit.validator import Judge
from training.networks import pretrained as weights
from training.networks import transformer

log = logging.getLogger(__name__)


class Teacher(keras.Model):  # type: ignore[misc]
    """The network with the logits as its only output, as `train_on_batch` wants it."""

    def __init__(self, pupil: Any) -> None:
        super().__init__(name="teacher")
        self.pupil = pupil

    def build(self, shape: Any = None) -> None:
        """The network is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Logits `[batch, labels]`."""
        return self.pupil(inputs, training=training)[0]


@dataclass(frozen=True)
class Job:
    """What to fit, on what, to where."""

    recipe: Recipe
    data: Path
    out: Path
    seed: int
    quiet: bool = False
    start: Sequence[NDArray[Any]] | None = None
    """Weights to begin with, in the order of the network, in place of the bare encoder."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Kept in the history: where the weights come from."""
    workers: int | None = None
    """Processes that augment; none given: by the number of cores."""
    save_every: int = 100
    """Steps between two checkpoints."""
    steps: int | None = None
    """Ends after so many steps of an epoch: to try things out."""
    task: Task | None = None
    """Whom to learn from; none given: the speakers of `splits.toml`."""
    pooled: Path | None = None
    """Where a frozen encoder's numbers are kept for several runs; none given: in `out`."""
    also: Sequence[Clip] = ()
    """Heard by the frozen encoder for those other runs, and not learnt from."""
    calibrated: bool = True
    """Whether to judge each speaker by a head solved without them, too, for the export to calibrate by."""


@dataclass
class Materials:
    """What a run reads before it starts."""

    task: Task
    heard: list[Clip]
    """The clips of `source` in its order: those of `task.fitting`, and those that are heard for other runs."""
    lengths: list[float]
    source: batches.Source
    kitchen: batches.Kitchen
    judge: Judge


def _materials(job: Job, task: Task) -> Materials:
    sounds = Sounds()
    fitting = sounds.readable(task.fitting, "reading", job.quiet)
    judging = sounds.readable(task.judging, "reading", job.quiet)
    task = dataclasses.replace(task, fitting=fitting, judging=judging)
    noises = noise.training_files(job.data)
    unreadable = set(sounds.load(noises, "reading noise", job.quiet))
    noises = [
        path for path in noises if path not in unreadable and np.abs(sounds[path].astype(np.int32)).max() > 30
    ]
    heard = fitting
    if job.also:
        # One order for all runs that share the numbers, whoever is learnt from.
        also = sounds.readable(job.also, "reading", job.quiet)
        heard = sorted(fitting + also, key=lambda clip: clip.path)
    lengths = [_speech_seconds(sounds[clip.path]) for clip in heard]
    log.info(
        "%s: %d clips to fit, %d to choose epochs by, %d noises, backend %s, seed %d",
        job.recipe.name, len(task.fitting), len(task.judging), len(noises), keras.backend.backend(), job.seed,
    )  # fmt: skip
    # The processes that augment are forked here, before the network takes threads and memory.
    simulated = room_simulation.bank(job.recipe.augment.rooms, job.seed, job.quiet)
    source = batches.Source(heard, task.labels, sounds, noises, job.recipe, simulated)
    kitchen = batches.Kitchen(source, job.workers)
    return Materials(task, heard, lengths, source, kitchen, Judge(task.judging, task.labels, sounds))


def _model(job: Job, held: Materials, total: int, first: Sequence[list[int]]) -> Any:
    """Network and optimiser, fresh or with the weights that the job begins with; a student with its teacher."""
    recipe, labels = job.recipe, len(held.task.labels)
    keras.utils.set_random_seed(job.seed)
    pupil = transformer.make(recipe, labels)
    pretrained = weights.load(job.data) if job.start is None or recipe.distil else None
    if job.start is not None:
        _begin_with(pupil, job.start)
    elif pretrained is not None:
        pupil.load_pretrained(pretrained)
    model: Any
    if recipe.distil is not None and pretrained is not None:
        model, loss = (
            distillation.Mimic(pupil, distillation.encoder(recipe.distil.layers, pretrained)),
            distillation.error,
        )
        model.build()
        if first:
            model.prepare(
                held.kitchen.serve([(group, [job.seed, 6, step]) for step, group in enumerate(first)])
            )
    else:
        model = Teacher(pupil)
        model.build()
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer.make(recipe, total), loss)
    model.optimizer.build(model.trainable_variables)
    return model


def _begin_with(pupil: Any, start: Sequence[NDArray[Any]]) -> None:
    """Raises `UserError` for the weights of another network."""
    have, want = [weight.shape for weight in start], [tuple(weight.shape) for weight in pupil.weights]
    if have != want:
        raise UserError(
            "the weights to begin with are those of another network: name the recipe they were made by"
        )
    pupil.set_weights(start)


def _facts(job: Job, task: Task, state: Path) -> dict[str, Any]:
    """Those of the checkpoint, or of a run that has not begun. Raises `UserError` for another run's checkpoint."""
    recipe = job.recipe
    fresh = {
        "recipe": recipe.name, "recipe_sha256": recipe.sha256(), "seed": job.seed, "task_sha256": task.sha256(),
        "epoch": 0, "step": 0, "history": [], "notes": job.notes,
    }  # fmt: skip
    if not state.exists():
        return fresh
    found = checkpoint.facts_of(state)
    if any(found.get(key) != fresh[key] for key in ("recipe_sha256", "seed", "task_sha256")):
        raise UserError(
            f"{state} belongs to another recipe or seed, or to other recordings ({found['recipe']}, seed "
            f"{found['seed']}): name another --out, or remove that folder"
        )
    return found


def run(job: Job) -> dict[str, Any]:
    """Fits, or continues a run found in `job.out`. Returns the history. Raises `UserError`."""
    recipe, state = job.recipe, job.out / "state.npz"
    try:
        job.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{job.out}: cannot be made: {error}") from None
    task = job.task or tasks.shipped(job.data)
    if job.also and not recipe.is_frozen:
        raise ValueError("only what a frozen encoder says can be shared between runs")
    facts = _facts(job, task, state)
    held = _materials(job, task)

    def groups_of(epoch: int) -> list[list[int]]:
        count = min(recipe.draws, len(held.task.fitting))
        chosen = batches.plan(held.task.fitting, count, job.seed, epoch)
        return batches.group(chosen, held.lengths, recipe.batch, job.seed, epoch)[: job.steps]

    try:
        fresh = not state.exists()
        # A student looks at its teacher before its first epoch, unless it has none: then its ears are given.
        first = groups_of(0)[: distillation.FIRST] if fresh and recipe.epochs else []
        model = _model(job, held, len(groups_of(0)) * recipe.epochs, first)
        if not fresh:
            checkpoint.restore(state, model, model.optimizer)
            log.info("continuing at epoch %d, step %d", facts["epoch"] + 1, facts["step"])
        elif recipe.probe is not None and recipe.distil is None:
            facts = _probe(job, facts, model, held)
        while facts["epoch"] < recipe.epochs:
            facts = _epoch(job, facts, model, held, groups_of(facts["epoch"]))
        if recipe.distil is not None and facts["epoch"] < recipe.last_epoch:
            facts = _probe(job, facts, model, held)
    finally:
        held.kitchen.close()
    return _public(facts, recipe)


def _probe(job: Job, facts: dict[str, Any], model: Any, held: Materials) -> dict[str, Any]:
    """Solves the head on what the encoder says now: before the epochs, or after a student's. The facts after it."""
    begun, pupil, how, source = time.monotonic(), model.pupil, job.recipe.probe, held.source
    assert how is not None
    what: Any = facts
    if job.also:
        what = [job.recipe.sha256(), job.seed, [f"{clip.speaker}/{clip.path.name}" for clip in held.heard]]
    folder = (job.pooled or job.out) / f"pooled-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"
    pooled, truth = closed_form.gather(
        pupil, source, held.kitchen.serve, held.lengths, seed=job.seed, out=folder, quiet=job.quiet
    )
    # Of what was heard, only what this run may learn from.
    learnt = {clip.path for clip in held.task.fitting}
    order = [held.heard[index] for index in closed_form.by_length(held.lengths)]
    rows = np.tile([clip.path in learnt for clip in order], how.rounds)
    pooled, truth = pooled[rows], truth[rows]
    own = [clip for clip in order if clip.path in learnt]
    counts = np.tile(closed_form.shares(held.task, own), how.rounds)
    log.info("solving the head for %d examples of %d numbers", *pooled.shape)
    head = closed_form.solve(pooled, truth, counts, how, how.components or job.recipe.embedding)
    pupil.install(head)
    epoch = job.recipe.last_epoch if job.recipe.distil else 0
    # A head that is trained on after it was solved is another one.
    if job.calibrated and epoch == job.recipe.last_epoch:
        left_out = out_of_fold.judge(
            pooled, truth, counts, speakers=[clip.speaker for clip in own], how=how,
            size=how.components or job.recipe.embedding,
        )  # fmt: skip
        if left_out is not None:
            left_out.write(job.out / out_of_fold.FILE)
    entry = {"epoch": epoch, "fit_loss": round(head.loss, 4)} | held.judge(Teacher(pupil))
    return _kept(job, facts, model, entry | {"seconds": round(time.monotonic() - begun)}, pupil.get_weights())


def _kept(
    job: Job, facts: dict[str, Any], model: Any, entry: dict[str, Any], weights: list[NDArray[Any]]
) -> dict[str, Any]:
    """Writes weights, history and state of a finished epoch. The facts after it."""
    checkpoint.save_weights(job.out / f"epoch-{entry['epoch']:02d}.npz", weights)
    facts = facts | {"epoch": entry["epoch"], "step": 0, "losses": [], "history": [*facts["history"], entry]}
    history = json.dumps(_public(facts, job.recipe), indent=1).encode()
    checkpoint.write_bytes(job.out / "history.json", history)
    checkpoint.save(job.out / "state.npz", model, model.optimizer, facts)
    log.info("%s", entry)
    return facts


def _epoch(
    job: Job, facts: dict[str, Any], model: Any, held: Materials, groups: list[list[int]]
) -> dict[str, Any]:
    """The rest of one epoch, its measurement and its checkpoints; the facts after it."""
    state, epoch, pupil = job.out / "state.npz", facts["epoch"], model.pupil
    tasks = [(group, [job.seed, epoch, 2, step]) for step, group in enumerate(groups)][facts["step"] :]
    begun, losses = time.monotonic(), list(facts.get("losses", []))
    bar = tqdm(
        held.kitchen.serve(tasks), desc=f"epoch {epoch + 1}/{job.recipe.epochs}", unit="batch",
        total=len(groups), initial=facts["step"], disable=job.quiet or None, mininterval=2.0,
    )  # fmt: skip
    for batch in bar:
        model.reset_metrics()
        losses.append(float(model.train_on_batch((batch.features, batch.mask), batch.targets)))
        facts["step"] += 1
        if not np.isfinite(losses[-1]):
            raise UserError(
                f"the loss is no number at epoch {epoch + 1}, step {facts['step']}: lower the rates"
            )
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
        if facts["step"] % job.save_every == 0:
            checkpoint.save(state, model, model.optimizer, facts | {"losses": losses})
            log.info(
                "epoch %d, step %d of %d: loss %.3f",
                epoch + 1,
                facts["step"],
                len(groups),
                np.mean(losses[-100:]),
            )
    kept, current = optimizer.averaged(model, model.optimizer), pupil.get_weights()
    judged = held.judge.distance if job.recipe.distil else held.judge
    pupil.set_weights(kept)
    entry = {"epoch": epoch + 1, "fit_loss": round(float(np.mean(losses)), 4)} | judged(model)
    pupil.set_weights(current)
    entry["seconds"] = round(time.monotonic() - begun)
    return _kept(job, facts, model, entry, kept)


def _public(facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    import msgspec

    history = facts["history"]
    scored = [entry for entry in history if "macro_f1" in entry]
    best = max(scored, key=lambda entry: entry["macro_f1"])["epoch"] if scored else None
    return {
        "recipe": msgspec.to_builtins(recipe), "seed": facts["seed"], "history": history, "best_epoch": best,
        "backend": keras.backend.backend(), "keras": keras.__version__, "notes": facts["notes"],
    }  # fmt: skip


def _speech_seconds(samples: NDArray[np.int16]) -> float:
    begin, end = features.speech_bounds(features.to_float(samples))
    return min(3.0, (end - begin) / 16000 + 0.3)
