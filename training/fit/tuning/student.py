"""`small`: a student learns the tokens of a tuned teacher, then emotion against a baseline, with the teacher's help."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np

from training.fit import distillation
from training.fit.batches import Batch
from training.fit.tuning import households, stages
from training.fit.tuning.households import Ints
from training.fit.tuning.phase import Phase, weights_after
from training.fit.tuning.relative_model import Teacher
from training.fit.tuning.stages import Run, Weights
from training.networks import pretrained, transformer
from training.recipes.recipe import Recipe

MEASURED: Final = 5
"""Batches from which the scales of distillation are taken."""


def tune(run: Run, recipe: Recipe, weights: Weights) -> Weights:
    """Run both stages, or what is left of them, and return the weights, float32 `[...]`. Raises `UserError`.

    `recipe` and `weights` are those of the teacher, an encoder.
    """
    job, how, inputs = run.job, run.how, run.inputs
    keras.utils.set_random_seed(job.seed)
    fresh = transformer.make(job.recipe, len(inputs.task.labels))
    fresh.load_pretrained(pretrained.load(job.data))
    before, teacher = fresh.get_weights(), run.network(weights, frozen=True, recipe=recipe)
    plan = list(households.utterances(inputs.source, how, job.seed, how.first_steps))
    phase = Phase(
        "stage-1", "stage 1", job.seed, plan, how.first_rate, _features, how.first_warm_up, how.first_decay
    )

    def prepare(model: distillation.DistillationModel) -> None:
        steps = households.utterances(inputs.source, how, job.seed, MEASURED, stage=8)
        model.prepare(inputs.loader.batches(list(steps)))

    def build() -> distillation.DistillationModel:
        return distillation.DistillationModel(run.network(before), teacher, how.learnt)

    first = weights_after(job, phase, inputs, build, prepare)
    start = stages.solved(run, teacher, recipe, "pooled-teacher")
    return stages.second(run, first, first, run.network(first, frozen=True), teacher=Teacher(teacher, start))


def _features(batch: Batch, key: list[int], rows: Ints, random: np.random.Generator) -> tuple[Any, ...]:
    """Student and teacher hear the same speech."""
    return batch.features, batch.mask
