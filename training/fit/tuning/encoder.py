"""`base`: an encoder learns first to hear through rooms, without labels, then emotion against a baseline."""

from __future__ import annotations

from typing import Any, Final

import keras

from training.fit.tuning import alignment, households, stages
from training.fit.tuning.alignment import Scales
from training.fit.tuning.phase import Phase, weights_after
from training.fit.tuning.room_model import RoomModel
from training.fit.tuning.stages import Run, Weights
from training.networks import pretrained, transformer

MEASURED: Final = 4
"""Batches from which the scales are taken."""


def tune(run: Run) -> Weights:
    """Run both stages, or what is left of them, and return the weights, float32 `[...]`. Raises `UserError`."""
    job, how, inputs = run.job, run.how, run.inputs
    keras.utils.set_random_seed(job.seed)
    fresh = transformer.make(job.recipe, len(inputs.task.labels))
    fresh.load_pretrained(pretrained.load(job.data))
    first = before = fresh.get_weights()
    frozen = run.network(before, frozen=True)
    scales = _scales(run, frozen) if how.first_steps or how.held_tokens else None
    if how.first_steps:
        assert scales is not None
        plan = list(households.utterances(inputs.source, how, job.seed, how.first_steps))
        phase = Phase(
            "stage-1", "stage 1", job.seed, plan, how.first_rate, stages.in_rooms, how.first_warm_up,
            how.first_decay,
        )  # fmt: skip

        first = weights_after(job, phase, inputs, lambda: RoomModel(run.network(before), frozen, scales))
    return stages.second(run, first, before, scales)


def _scales(run: Run, frozen: Any) -> Scales:
    """Those of dry speech, measured once."""
    path = run.job.out / "scales.npz"
    if not path.is_file():
        steps = households.utterances(run.inputs.source, run.how, run.job.seed, MEASURED, stage=8)
        alignment.measure(frozen, run.inputs.loader.batches(list(steps))).write(path)
    return alignment.read(path)
