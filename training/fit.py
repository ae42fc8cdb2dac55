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

from edge.errors import UserError
from edge.model import bundle as bundles
from edge.model import features
from training import batches, checkpoint, lessons, metrics, network, probe, weights
from training import task as tasks
from training.corpora import noise
from training.corpora.clip import Clip
from training.recipe import Recipe
from training.sounds import Sounds
from training.task import Task

log = logging.getLogger(__name__)


class Optimizer(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019) whose trunk learns slower than its head."""

    trunk_share = 0.1

    def build(self, variables: Any) -> None:
        """Notes which variables belong to the trunk: later, TensorFlow gives bare variables without a path."""
        super().build(variables)
        self._shares = [1.0 if network.is_head(variable.path) else self.trunk_share for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The rate that is scheduled is the head's."""
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)


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
    teacher: Path | None = None
    """A bundle that a recipe with `[distil]` learns from; none: from the labels alone."""
    workers: int | None = None
    """Processes that augment; none given: by the number of cores."""
    save_every: int = 100
    """Steps between two checkpoints."""
    steps: int | None = None
    """Ends after so many steps of an epoch: to try things out."""
    task: Task | None = None
    """Whom to learn from; none given: the speakers of `splits.toml`."""


def optimizer_for(recipe: Recipe, total: int) -> Optimizer:
    """Warm-up, then a cosine to zero."""
    warm = max(1, round(recipe.warm_up * total))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, total - warm), warmup_target=recipe.head_rate, warmup_steps=warm
    )
    average = {"use_ema": True, "ema_momentum": recipe.average} if recipe.average else {}
    optimizer = Optimizer(
        schedule, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm, **average
    )
    optimizer.trunk_share = recipe.trunk_rate / recipe.head_rate
    return optimizer


def averaged(teacher: Teacher, optimizer: Optimizer) -> list[NDArray[Any]]:
    """The network's weights with the moving averages in place of those that have one."""
    held: dict[int, Any] = {}
    if optimizer.use_ema:
        pairs = zip(teacher.trainable_variables, optimizer._model_variables_moving_average, strict=True)
        held = {id(variable): average for variable, average in pairs}
    return [keras.ops.convert_to_numpy(held.get(id(v), v)) for v in teacher.pupil.weights]


class Judge:
    """Measures a network on speakers that it does not learn from, with the device's own way of cutting."""

    def __init__(self, clips: list[Clip], labels: tuple[str, ...], sounds: Sounds, limit: int = 360) -> None:
        self._labels = labels
        step = max(1, len(clips) // limit)
        self._truth: list[int] = []
        self._owner: list[int] = []
        mels = []
        for clip in clips[::step]:
            for window in features.windows(features.trim(features.to_float(sounds[clip.path]))):
                mels.append(features.log_mel(window))
                self._owner.append(len(self._truth))
            self._truth.append(labels.index(clip.label))
        order = sorted(range(len(mels)), key=lambda index: mels[index].shape[0])
        self._groups = [order[start : start + 16] for start in range(0, len(order), 16)]
        self._batches = [batches.pad([mels[index] for index in group]) for group in self._groups]

    def __call__(self, model: Any) -> dict[str, float]:
        """Accuracy, macro F1, UAR and loss."""
        total = np.zeros((len(self._truth), len(self._labels)))
        for group, (mel, mask) in zip(self._groups, self._batches, strict=True):
            logits = keras.ops.convert_to_numpy(model.predict_on_batch((mel, mask)))
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            np.add.at(total, [self._owner[index] for index in group], shares)
        total /= total.sum(axis=1, keepdims=True)
        truth = np.array(self._truth)
        found = metrics.summary(total, truth, self._labels)
        loss = float(-np.log(np.maximum(total[np.arange(len(truth)), truth], 1e-9)).mean())
        return {key: round(found[key], 4) for key in ("accuracy", "macro_f1", "uar")} | {
            "loss": round(loss, 4)
        }


@dataclass
class Materials:
    """What a run reads before it starts."""

    task: Task
    lengths: list[float]
    source: batches.Source
    kitchen: batches.Kitchen | lessons.Lessons
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
    lengths = [_speech_seconds(sounds[clip.path]) for clip in task.fitting]
    log.info(
        "%s: %d clips to fit, %d to choose epochs by, %d noises, backend %s, seed %d",
        job.recipe.name, len(task.fitting), len(task.judging), len(noises), keras.backend.backend(), job.seed,
    )  # fmt: skip
    # The processes that augment are forked here, before the network takes threads and memory.
    source = batches.Source(task.fitting, task.labels, sounds, noises, job.recipe)
    kitchen: batches.Kitchen | lessons.Lessons
    if job.recipe.distil is None:
        kitchen = batches.Kitchen(source, job.workers)
    else:
        kitchen = lessons.Lessons(
            source, job.teacher, job.seed, job.out, workers=job.workers, quiet=job.quiet
        )
    return Materials(task, lengths, source, kitchen, Judge(task.judging, task.labels, sounds))


def _teacher(job: Job, labels: int, total: int) -> Teacher:
    """Network and optimiser, fresh or with the weights that the job begins with."""
    recipe = job.recipe
    keras.utils.set_random_seed(job.seed)
    pupil = network.make(recipe, labels)
    if job.start is not None:
        _begin_with(pupil, job.start)
    elif isinstance(pupil, network.Whisper):
        pupil.load_pretrained(weights.load(job.data))
    teacher = Teacher(pupil)
    teacher.build()
    teacher.compile(
        optimizer_for(recipe, total),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
    )
    teacher.optimizer.build(teacher.trainable_variables)
    return teacher


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
    if job.teacher is not None:
        fresh["teacher"] = bundles.load(job.teacher).full_name
    if not state.exists():
        return fresh
    found = checkpoint.facts_of(state)
    if any(found.get(key) != fresh[key] for key in ("recipe_sha256", "seed", "task_sha256")):
        raise UserError(
            f"{state} belongs to another recipe or seed, or to other recordings ({found['recipe']}, seed "
            f"{found['seed']}): name another --out, or remove that folder"
        )
    if found.get("teacher") != fresh.get("teacher"):
        raise UserError(
            f"{state} belongs to a run with the teacher {found.get('teacher', 'none')}: name that one in --teacher, "
            "or another --out"
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
    facts = _facts(job, task, state)
    held = _materials(job, task)

    def groups_of(epoch: int) -> list[list[int]]:
        chosen = batches.plan(held.task.fitting, recipe.draws, job.seed, epoch)
        return batches.group(chosen, held.lengths, recipe.batch, job.seed, epoch)[: job.steps]

    try:
        teacher = _teacher(job, len(task.labels), len(groups_of(0)) * recipe.epochs)
        if state.exists():
            checkpoint.restore(state, teacher, teacher.optimizer)
            log.info("continuing at epoch %d, step %d", facts["epoch"] + 1, facts["step"])
        elif recipe.probe is not None:
            facts = _probe(job, facts, teacher, held)
        while facts["epoch"] < recipe.epochs:
            facts = _epoch(job, facts, teacher, held, groups_of(facts["epoch"]))
    finally:
        held.kitchen.close()
    return _public(facts, recipe)


def _probe(job: Job, facts: dict[str, Any], teacher: Teacher, held: Materials) -> dict[str, Any]:
    """Solves the head on the frozen encoder; its checkpoint is that of epoch 0. The facts after it."""
    begun, pupil, how, source = time.monotonic(), teacher.pupil, job.recipe.probe, held.source
    assert how is not None
    folder = job.out / f"pooled-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"
    pooled, truth = probe.gather(
        pupil, source, held.kitchen.serve, held.lengths, seed=job.seed, out=folder, quiet=job.quiet
    )
    counts = np.tile(probe.shares(held.task, probe.by_length(held.lengths)), how.rounds)
    log.info("solving the head for %d examples of %d numbers", *pooled.shape)
    head = probe.solve(pooled, truth, counts, how, job.recipe.embedding)
    probe.install(pupil, head)
    entry = {"epoch": 0, "fit_loss": round(head.loss, 4)} | held.judge(teacher)
    return _kept(
        job, facts, teacher, entry | {"seconds": round(time.monotonic() - begun)}, pupil.get_weights()
    )


def _kept(
    job: Job, facts: dict[str, Any], teacher: Teacher, entry: dict[str, Any], weights: list[NDArray[Any]]
) -> dict[str, Any]:
    """Writes weights, history and state of a finished epoch. The facts after it."""
    checkpoint.save_weights(job.out / f"epoch-{entry['epoch']:02d}.npz", weights)
    facts = facts | {"epoch": entry["epoch"], "step": 0, "losses": [], "history": [*facts["history"], entry]}
    history = json.dumps(_public(facts, job.recipe), indent=1).encode()
    checkpoint.write_bytes(job.out / "history.json", history)
    checkpoint.save(job.out / "state.npz", teacher, teacher.optimizer, facts)
    log.info("%s", entry)
    return facts


def _epoch(
    job: Job, facts: dict[str, Any], teacher: Teacher, held: Materials, groups: list[list[int]]
) -> dict[str, Any]:
    """The rest of one epoch, its measurement and its checkpoints; the facts after it."""
    state, epoch, pupil = job.out / "state.npz", facts["epoch"], teacher.pupil
    tasks = [(group, [job.seed, epoch, 2, step]) for step, group in enumerate(groups)][facts["step"] :]
    begun, losses = time.monotonic(), list(facts.get("losses", []))
    bar = tqdm(
        held.kitchen.serve(tasks), desc=f"epoch {epoch + 1}/{job.recipe.epochs}", unit="batch",
        total=len(groups), initial=facts["step"], disable=job.quiet or None, mininterval=2.0,
    )  # fmt: skip
    for batch in bar:
        teacher.reset_metrics()
        losses.append(float(teacher.train_on_batch((batch.features, batch.mask), batch.targets)))
        facts["step"] += 1
        if not np.isfinite(losses[-1]):
            raise UserError(
                f"the loss is no number at epoch {epoch + 1}, step {facts['step']}: lower the rates"
            )
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
        if facts["step"] % job.save_every == 0:
            checkpoint.save(state, teacher, teacher.optimizer, facts | {"losses": losses})
            log.info(
                "epoch %d, step %d of %d: loss %.3f",
                epoch + 1,
                facts["step"],
                len(groups),
                np.mean(losses[-100:]),
            )
    kept, current = averaged(teacher, teacher.optimizer), pupil.get_weights()
    pupil.set_weights(kept)
    entry = {"epoch": epoch + 1, "fit_loss": round(float(np.mean(losses)), 4)} | held.judge(teacher)
    pupil.set_weights(current)
    entry["seconds"] = round(time.monotonic() - begun)
    return _kept(job, facts, teacher, entry, kept)


def _public(facts: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    import msgspec

    history = facts["history"]
    best = max(history, key=lambda entry: entry["macro_f1"])["epoch"] if history else None
    return {
        "recipe": msgspec.to_builtins(recipe), "seed": facts["seed"], "history": history, "best_epoch": best,
        "backend": keras.backend.backend(), "keras": keras.__version__, "notes": facts["notes"],
        "teacher": facts.get("teacher"),
    }  # fmt: skip


def _speech_seconds(samples: NDArray[np.int16]) -> float:
    begin, end = features.speech_bounds(features.to_float(samples))
    return min(3.0, (end - begin) / 16000 + 0.3)
