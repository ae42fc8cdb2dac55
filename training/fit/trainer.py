"""The trainer: fits a recipe in epochs with checkpoints; a killed run continues with exactly the same batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data import task as tasks
from training.data.corpora import folder
from training.data.corpora.clip import Clip
from training.data.progress import Progress
from training.data.task import Task
from training.fit import batches, checkpoint, closed_form, distillation, optimizer, out_of_fold, relative
from training.fit.inputs import Inputs, Job, read_inputs
from training.fit.logits_model import LogitsModel
from training.networks import pretrained as weights
from training.networks import transformer
from training.networks.head import Solved
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)
Float = NDArray[np.float32]


def _model(job: Job, inputs: Inputs, total: int, first: Sequence[list[int]]) -> Any:
    """Network and optimiser, with fresh weights or those that the job starts from; a student with its teacher."""
    recipe, labels = job.recipe, len(inputs.task.labels)
    keras.utils.set_random_seed(job.seed)
    network = transformer.make(recipe, labels)
    pretrained = weights.load(job.data) if job.start is None or recipe.distil else None
    if job.start is not None:
        _set_weights(network, job.start)
    elif pretrained is not None:
        network.load_pretrained(pretrained)
    model: Any
    if recipe.distil is not None and pretrained is not None:
        model, loss = (
            distillation.DistillationModel(network, distillation.encoder(recipe.distil.layers, pretrained)),
            distillation.error,
        )
        model.build()
        if first:
            model.prepare(
                inputs.loader.batches([(group, [job.seed, 6, step]) for step, group in enumerate(first)])
            )
    else:
        model = LogitsModel(network)
        model.build()
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer.make(recipe, total), loss)
    model.optimizer.build(model.trainable_variables)
    return model


def _set_weights(network: Any, start: Sequence[NDArray[Any]]) -> None:
    """Raises `UserError` for the weights of another network."""
    have, want = [weight.shape for weight in start], [tuple(weight.shape) for weight in network.weights]
    if have != want:
        raise UserError(
            "the weights to begin with are those of another network: name the recipe they were made by"
        )
    network.set_weights(start)


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
    """Train a network, or continue a run that was interrupted in `job.out`. Returns its history. Raises `UserError`."""
    if job.start is None:
        # Only `tune` removes units: an encoder as it came has all of them.
        job = dataclasses.replace(job, recipe=job.recipe.wide)
    recipe, state = job.recipe, job.out / "state.npz"
    task = job.task or tasks.shipped(job.data, ordinary=recipe.relative is not None)
    if job.also and not recipe.is_frozen:
        raise ValueError("only what a frozen encoder says can be shared between runs")
    facts = _facts(job, task, state)
    job.make_out()
    inputs = read_inputs(job, task)

    def groups_of(epoch: int) -> list[list[int]]:
        count = min(recipe.draws, len(inputs.task.fitting))
        chosen = batches.plan(inputs.task.fitting, count, job.seed, epoch)
        return batches.group(chosen, inputs.lengths, recipe.batch, job.seed, epoch)[: job.steps]

    try:
        fresh = not state.exists()
        # The scales of distillation are taken from the first batches.
        first = groups_of(0)[: distillation.FIRST] if fresh and recipe.epochs else []
        model = _model(job, inputs, len(groups_of(0)) * recipe.epochs, first)
        if not fresh:
            checkpoint.restore(state, model, model.optimizer)
            log.info("continuing at epoch %d, step %d", facts["epoch"] + 1, facts["step"])
        elif recipe.probe is not None and recipe.distil is None:
            facts = _probe(job, facts, model, inputs)
        while facts["epoch"] < recipe.epochs:
            facts = _epoch(job, facts, model, inputs, groups_of(facts["epoch"]))
        if recipe.distil is not None and facts["epoch"] < recipe.last_epoch:
            facts = _probe(job, facts, model, inputs)
    finally:
        inputs.loader.close()
    return _public(facts, recipe)


def _probe(job: Job, facts: dict[str, Any], model: Any, inputs: Inputs) -> dict[str, Any]:
    """Fit the head in closed form: before the epochs, or after those of a student. Returns the facts."""
    begun, network, how, source = time.monotonic(), model.network, job.recipe.probe, inputs.source
    assert how is not None
    what: Any = facts
    if job.also:
        what = [job.recipe.sha256(), job.seed, [f"{clip.speaker}/{clip.path.name}" for clip in inputs.clips]]
    folder = (job.pooled or job.out) / f"pooled-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"
    pooled, truth, homes = closed_form.gather(
        network, source, inputs.loader.batches, inputs.lengths, seed=job.seed, out=folder, quiet=job.quiet
    )
    # Of the pooled clips, only those that this run may fit.
    fitted = {clip.path for clip in (*inputs.task.fitting, *inputs.task.ordinary)}
    order = [inputs.clips[index] for index in closed_form.by_length(inputs.lengths)]
    rows = np.tile([clip.path in fitted for clip in order], how.rounds)
    own = [clip for clip in order if clip.path in fitted]
    log.info("solving the head for %d examples of %d features", int(rows.sum()), pooled.shape[1])
    utterances = relative.describe(own, inputs.task.labels, homes[rows], pooled[rows])
    fit = _fit(job, inputs.task, utterances, truth[rows], own)
    head = fit(utterances, np.ones(len(utterances.label), np.bool_))
    left_out = out_of_fold.predict(utterances, len(own), fit) if job.calibrated else None
    facts = facts | _without_added(job, utterances, own, fit)
    network.install(head)
    epoch = job.recipe.last_epoch if job.recipe.distil else 0
    # A head that is trained further by gradient descent is another one.
    if left_out is not None and epoch == job.recipe.last_epoch:
        left_out.write(job.out / out_of_fold.FILE)
    if head.relative_bias is not None:
        facts = facts | {"relative_bias": [float(value) for value in head.relative_bias]}
    entry = {"epoch": epoch, "fit_loss": round(head.loss, 4)} | inputs.validator(LogitsModel(network))
    return _kept(
        job, facts, model, entry | {"seconds": round(time.monotonic() - begun)}, network.get_weights()
    )


def _fit(
    job: Job, task: Task, utterances: relative.Utterances, truth: NDArray[np.int64], clips: Sequence[Clip]
) -> Callable[[relative.Utterances, NDArray[np.bool_]], Solved]:
    """What makes a head of some of the utterances, and of their places among all."""
    how, relation = job.recipe.probe, job.recipe.relative
    assert how is not None
    size = how.components or job.recipe.embedding
    if relation is None:
        weights = np.tile(closed_form.shares(task, clips), how.rounds)
        return lambda some, places: closed_form.solve(some.pooled, truth[places], weights[places], how, size)
    return lambda some, places: relative.solve(some, how, relation, size, job.seed)


def _without_added(
    job: Job,
    utterances: relative.Utterances,
    clips: Sequence[Clip],
    fit: Callable[[relative.Utterances, NDArray[np.bool_]], Solved],
) -> dict[str, Any]:
    """Write what a relative head would predict without the added recordings; facts of it for the history."""
    added = np.array([clip.corpus == folder.CORPUS for clip in clips])
    if job.recipe.relative is None or not job.calibrated or not added.any():
        return {}
    found = out_of_fold.without(utterances, added, fit)
    if found is None or found[1].relative_bias is None:
        return {}
    found[0].write(job.out / out_of_fold.BEFORE_FILE)
    return {"relative_bias_before": [float(value) for value in found[1].relative_bias]}


def _kept(
    job: Job, facts: dict[str, Any], model: Any, entry: dict[str, Any], weights: list[NDArray[Any]]
) -> dict[str, Any]:
    """Writes weights, history and state of a finished epoch. The facts after it."""
    checkpoint.save_weights(checkpoint.epoch_file(job.out, entry["epoch"]), weights)
    facts = facts | {"epoch": entry["epoch"], "step": 0, "losses": [], "history": [*facts["history"], entry]}
    history = json.dumps(_public(facts, job.recipe), indent=1).encode()
    checkpoint.write_bytes(job.out / "history.json", history)
    checkpoint.save(job.out / "state.npz", model, model.optimizer, facts)
    log.info("%s", entry)
    return facts


def _epoch(
    job: Job, facts: dict[str, Any], model: Any, inputs: Inputs, groups: list[list[int]]
) -> dict[str, Any]:
    """The rest of one epoch, its measurement and its checkpoints; the facts after it."""
    state, epoch, network = job.out / "state.npz", facts["epoch"], model.network
    tasks = [(group, [job.seed, epoch, 2, step]) for step, group in enumerate(groups)][facts["step"] :]
    begun, losses = time.monotonic(), list(facts.get("losses", []))
    title = f"epoch {epoch + 1}/{job.recipe.epochs}"
    served = inputs.loader.batches(tasks)
    steps = Progress(served, title, "step", total=len(groups), done=facts["step"], quiet=job.quiet)
    for batch in steps:
        model.reset_metrics()
        losses.append(float(model.train_on_batch((batch.features, batch.mask), batch.targets)))
        facts["step"] += 1
        if not np.isfinite(losses[-1]):
            raise UserError(
                f"the loss is no number at epoch {epoch + 1}, step {facts['step']}: lower the rates"
            )
        steps.note(f"loss {np.mean(losses[-50:]):.3f}")
        if facts["step"] % job.save_every == 0:
            checkpoint.save(state, model, model.optimizer, facts | {"losses": losses})
            log.info(
                "epoch %d, step %d of %d: loss %.3f",
                epoch + 1,
                facts["step"],
                len(groups),
                np.mean(losses[-100:]),
            )
    kept, current = optimizer.averaged(model, model.optimizer), network.get_weights()
    score = inputs.validator.distance if job.recipe.distil else inputs.validator
    network.set_weights(kept)
    entry = {"epoch": epoch + 1, "fit_loss": round(float(np.mean(losses)), 4)} | score(model)
    network.set_weights(current)
    entry["seconds"] = round(time.monotonic() - begun)
    return _kept(job, facts, model, entry, kept)


def _public(facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    history = facts["history"]
    scored = [entry for entry in history if "macro_f1" in entry]
    best = max(scored, key=lambda entry: entry["macro_f1"])["epoch"] if scored else None
    return {
        "recipe": msgspec.to_builtins(recipe), "seed": facts["seed"], "history": history, "best_epoch": best,
        "backend": keras.backend.backend(), "keras": keras.__version__, "notes": facts["notes"],
        "relative_bias": facts.get("relative_bias"), "relative_bias_before": facts.get("relative_bias_before"),
    }  # fmt: skip
