"""`base`: an encoder learns first to hear through rooms, without labels, then emotion against a baseline."""

from __future__ import annotations

import dataclasses

import keras

from training.fit.tuning import households, narrow_encoder, stages
from training.fit.tuning.phase import Phase, weights_after
from training.fit.tuning.room_model import RoomModel
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
    job, how, inputs = run.job, run.how, run.inputs
    keras.utils.set_random_seed(job.seed)
    fresh = transformer.make(job.recipe, len(inputs.task.labels))
    fresh.load_pretrained(pretrained.load(job.data))
    first = before = fresh.get_weights()
    frozen = run.network(before, frozen=True)
    scales = stages.scales(run, frozen, "scales.npz") if how.first_steps or how.held_tokens else None
    if how.first_steps:
        assert scales is not None
        plan = list(households.utterances(inputs.source, how, job.seed, how.first_steps))
        phase = Phase(
            "stage-1", "stage 1", job.seed, plan, how.first_rate, stages.in_rooms, how.first_warm_up,
            how.first_decay,
        )  # fmt: skip

        first = weights_after(job, phase, inputs, lambda: RoomModel(run.network(before), frozen, scales))
    return stages.second(run, first, before, frozen, scales=scales)
