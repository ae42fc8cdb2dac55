"""`base`, behind its first stages: units are removed, and a narrower encoder learns from the wide one.

Stage 3, without labels, is stage 1 again: to give for speech in a household what the wide, tuned encoder gives for the
same moments dry. Stage 4 is stage 2 again, with the wide encoder's answers to dry speech as soft targets beside the
labels (docs/decisions/0035-fewer-units.md).
"""

from __future__ import annotations

import dataclasses
from typing import Final

import keras

from training.fit import checkpoint
from training.fit.tuning import households, stages
from training.fit.tuning.relative_model import Teacher
from training.fit.tuning.stages import Run, Weights
from training.networks import narrower

MEASURED: Final = 8
"""Batches that the units are measured on, in households and dry."""


def tune(run: Run, wide: Run, weights: Weights) -> Weights:
    """Run stages 3 and 4, or what is left of them, and return the weights, float32 `[...]`. Raises `UserError`.

    `run` is that of the narrower recipe, `wide` that of the wide one, whose tuned weights are given.
    """
    job, how = run.job, run.how
    keras.utils.set_random_seed(job.seed)
    teacher = wide.network(weights, frozen=True)
    before = _narrowed(run, wide, weights)
    first = before
    scales = stages.scales(wide, teacher, "scales-wide.npz")
    if how.narrow_steps:
        first = stages.first(run, before, teacher, scales, steps=how.narrow_steps, stage=3)
    lesson = Teacher(teacher, stages.solved(wide, teacher, job.recipe, "pooled-wide"))
    how = dataclasses.replace(
        how, taught=how.narrow_taught, first_kept=how.narrow_first_kept, kept=how.narrow_kept
    )
    last = dataclasses.replace(run, how=how)
    return stages.second(last, first, before, teacher, scales=scales, teacher=lesson, stage=4)


def _narrowed(run: Run, wide: Run, weights: Weights) -> Weights:
    """The weights that stage 3 begins with; kept in the folder of the run."""
    path = run.job.out / "narrowed.npz"
    if not path.is_file():
        steps = households.utterances(run.inputs.source, run.how, run.job.seed, MEASURED, stage=8)
        served = []
        for batch in run.inputs.loader.batches(list(steps)):
            assert batch.dry is not None
            served += [(batch.features, batch.mask), (batch.dry.features, batch.dry.mask)]
        checkpoint.save_weights(
            path, narrower.narrow(wide.network(weights, frozen=True), run.job.recipe, served)
        )
    return checkpoint.load_weights(path)
