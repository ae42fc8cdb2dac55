"""What networks share: stage 1 of encoders, stage 2 for several seeds, their mean, the head that each begins with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.fit import closed_form, relative
from training.fit.batches import Batch
from training.fit.inputs import Inputs, Job
from training.fit.tuning import alignment, households
from training.fit.tuning.alignment import Scales
from training.fit.tuning.households import Ints
from training.fit.tuning.phase import Phase, weights_after
from training.fit.tuning.relative_model import RelativeModel, Start, Teacher
from training.fit.tuning.room_model import RoomModel
from training.fit.tuning.settings import Tuning
from training.networks import transformer
from training.recipes.recipe import Recipe

log = logging.getLogger(__name__)
MEASURED: Final = 4
"""Batches from which the scales are taken."""
Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """What the stages of one run are made of."""

    job: Job
    how: Tuning
    inputs: Inputs

    def network(self, weights: Weights, *, frozen: bool = False, recipe: Recipe | None = None) -> Any:
        """Make a network of the run's recipe, or of another, with these weights, float32 `[...]`."""
        made = transformer.make(recipe or self.job.recipe, len(self.inputs.task.labels))
        made.set_weights(weights)
        if frozen:
            made.trainable = False
        else:
            train_blocks(made)
        return made


def train_blocks(network: Any) -> None:
    """Train the blocks of an encoder and nothing else; a student knows itself what is trained."""
    if not isinstance(network, transformer.Whisper):
        return
    own = {id(variable) for block in network.blocks for variable in block.variables}
    for block in network.blocks:
        block.trainable = True
    for variable in network.variables:
        variable.trainable = id(variable) in own


def in_rooms(batch: Batch, key: list[int], rows: Ints, random: np.random.Generator) -> tuple[Any, ...]:
    """Return what the model of stage 1 of an encoder is given; some mel bands are masked."""
    assert batch.dry is not None
    dry = (batch.dry.features, batch.dry.mask, batch.dry.shift)
    return households.mask_bands(batch.features, random), batch.mask, *dry


def scales(run: Run, network: Any, name: str) -> Scales:
    """Return the scales of what an encoder makes of dry speech, measured once and kept in the file `name`."""
    path = run.job.out / name
    if not path.is_file():
        steps = households.utterances(run.inputs.source, run.how, run.job.seed, MEASURED, stage=8)
        alignment.measure(network, run.inputs.loader.batches(list(steps))).write(path)
    return alignment.read(path)


def first(run: Run, before: Weights, teacher: Any, scales: Scales, *, steps: int, stage: int = 1) -> Weights:
    """Run stage 1 (or that of another number) from the weights `before`, and return those that it ends in.

    Weights are float32 `[...]`. What the encoder `teacher` makes of dry speech is learnt. Raises `UserError` as
    `phase.weights_after`.
    """
    job, how, source = run.job, run.how, run.inputs.source
    plan = list(households.utterances(source, how, job.seed, steps, stage=6 + stage))
    phase = Phase(
        f"stage-{stage}", f"stage {stage}", job.seed, plan, how.first_rate, in_rooms, how.first_warm_up,
        how.first_decay,
    )  # fmt: skip
    return weights_after(job, phase, run.inputs, lambda: RoomModel(run.network(before), teacher, scales))


def second(
    run: Run,
    first: Weights,
    before: Weights,
    anchor: Any,
    *,
    scales: Scales | None = None,
    teacher: Teacher | None = None,
    stage: int = 2,
) -> Weights:
    """Run stage 2 (or that of another number) from the weights `first` for every seed, and return the mean.

    Weights are float32 `[...]`; `before` are those before stage 1. What the network `anchor` makes of dry speech is
    what the one in training is held near. Raises `UserError` as `phase.weights_after`.
    """
    job, how = run.job, run.how
    start = solved(run, run.network(first, frozen=True), job.recipe, f"pooled-stage-{stage - 1}")

    def given(batch: Batch, key: list[int], rows: Ints, random: np.random.Generator) -> tuple[Any, ...]:
        return *in_rooms(batch, key, rows, random), *households.targets(run.inputs.source, key, rows, random)

    found = []
    for seed in range(job.seed, job.seed + how.seeds):
        phase = Phase(
            f"stage-{stage}-seed-{seed}", f"stage {stage}, seed {seed}", seed,
            list(households.plan(run.inputs.source, how, seed)), how.rate, given,
        )  # fmt: skip

        def build(seed: int = seed) -> RelativeModel:
            return RelativeModel(
                run.network(first), anchor, start, how, seed=seed, scales=scales, teacher=teacher
            )

        found.append(weights_after(job, phase, run.inputs, build))
    return mean(before, first, found, how)


def mean(before: Weights, first: Weights, seeds: Sequence[Weights], how: Tuning) -> Weights:
    """Return the weights `before` both stages, and the shares of what each moved, float32 `[...]`.

    `first_kept` of what stage 1 moved to `first`, and `kept` of what the mean of the seeds moved from there (Wortsman
    et al. 2022, "model soups", arXiv 2203.05482).
    """
    return [
        (
            old + how.first_kept * (one - old) + how.kept * (np.mean(new, axis=0, dtype=np.float64) - one)
        ).astype(np.float32)
        for old, one, *new in zip(before, first, *seeds, strict=True)
    ]


def solved(run: Run, network: Any, recipe: Recipe, folder: str) -> Start:
    """Solve a head by a recipe in closed form on what a network gives in all rounds; features are kept in `folder`."""
    job, inputs = run.job, run.inputs
    assert recipe.probe is not None and recipe.relative is not None
    pooled, _, homes = closed_form.gather(
        network, inputs.source, inputs.loader.batches, inputs.lengths,
        seed=job.seed, out=job.out / folder, quiet=job.quiet,
    )  # fmt: skip
    order = [inputs.clips[index] for index in closed_form.by_length(inputs.lengths)]
    utterances = relative.describe(order, inputs.task.labels, homes, pooled)
    log.info("solving the head to begin with, on %d features", pooled.shape[1])
    head = relative.solve(
        utterances, recipe.probe, recipe.relative, recipe.probe.components or recipe.embedding, job.seed
    )
    components = ((pooled - head.centre) * head.scale) @ head.components
    origin = relative.origin_of(components.astype(np.float32), utterances)
    return Start(head, origin, recipe.relative.prior)
