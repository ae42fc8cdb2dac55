"""`base`: an encoder learns first to hear through rooms, without labels, then emotion against a baseline."""

from __future__ import annotations

import dataclasses

import keras

from training.fit.tuning import narrow_encoder, stages
from training.fit.tuning.stages import Run, Weights
from training.networks import pretrained, transformer


def tune(run: Run) -> Weights:
    """Run all stages, or what is left of them, and return the weights, float32 `[...]`. Raises `UserError`."""
    recipe = run.job.recipe
    wide = dataclasses.replace(run, job=dataclasses.replace(run.job, recipe=recipe.wide))
    weights = _tune_wide(wide)
    return weights if recipe == recipe.wide else narrow_encoder.tune(run, wide, weights)


def _tune_wide(run: Run) -> Weights:
    """Both stages of an encoder with all the units that it came with."""
    job, how = run.job, run.how
    keras.utils.set_random_seed(job.seed)
    fresh = transformer.make(job.recipe, len(run.inputs.task.labels))
    fresh.load_pretrained(pretrained.load(job.data))
    first = before = fresh.get_weights()
    frozen = run.network(before, frozen=True)
    scales = stages.scales(run, frozen, "scales.npz") if how.first_steps or how.held_tokens else None
    if how.first_steps:
        assert scales is not None
        first = stages.first(run, before, frozen, scales, steps=how.first_steps)
    return stages.second(run, first, before, frozen, scales=scales)
