"""One phase of tuning: a number of steps that end in a file of weights; a killed one goes on from its checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data.progress import Progress
from training.fit import checkpoint, optimizer
from training.fit.batches import Batch
from training.fit.inputs import Inputs, Job
from training.fit.tuning.households import Ints, Step

log = logging.getLogger(__name__)
SAVE_EVERY: Final = 50
"""Steps between two checkpoints."""
HEAD_RATE: Final = 1e-3
"""Of the head behind a network that is tuned; all else has the rate of the phase."""
Given = Callable[[Batch, list[int], Ints, np.random.Generator], tuple[Any, ...]]
"""What a model is given of a batch: of its key, its clips and a generator of random numbers of the step."""


@dataclass(frozen=True)
class Phase:
    """What is computed step by step."""

    name: str
    """Of its file of weights."""
    title: str
    """Of the progress bar."""
    seed: int
    plan: Sequence[Step]
    rate: float
    given: Given
    warm_up: float = 0.1
    weight_decay: float = 0.0

    def weights_file(self, out: Path) -> Path:
        """Return the path of the weights that the phase ends in, below the folder of the run."""
        return out / f"{self.name}.npz"

    def state_file(self, out: Path) -> Path:
        """Return the path of the checkpoint, which is removed at the end."""
        return out / f"{self.name}-state.npz"


def weights_after(
    job: Job,
    phase: Phase,
    inputs: Inputs,
    build: Callable[[], Any],
    prepare: Callable[[Any], None] = lambda model: None,
) -> list[NDArray[Any]]:
    """Run a phase, or what is left of it, and return the weights of `model.network`, float32 `[...]`.

    `build` makes the model, whose output is the loss of each utterance; `prepare` is called for one that has made no
    step yet. Raises `UserError` where the loss is no number or the disk is full.
    """
    result, state = phase.weights_file(job.out), phase.state_file(job.out)
    if not result.is_file():
        keras.utils.set_random_seed(phase.seed)
        model = build()
        model.build()
        recipe = msgspec.structs.replace(
            job.recipe, head_rate=HEAD_RATE, trunk_rate=phase.rate, warm_up=phase.warm_up,
            weight_decay=phase.weight_decay, clip_norm=1.0, average=0.0,
        )  # fmt: skip
        model.compile(optimizer.make(recipe, len(phase.plan)), _loss)
        model.optimizer.build(model.trainable_variables)
        done = 0
        if state.exists():
            done = int(checkpoint.facts_of(state)["step"])
            checkpoint.restore(state, model, model.optimizer)
            log.info("%s: continuing at step %d", phase.title, done)
        else:
            prepare(model)
        _steps(job, phase, inputs, model, done)
        checkpoint.save_weights(result, model.network.get_weights())
    state.unlink(missing_ok=True)
    return checkpoint.load_weights(result)


def _steps(job: Job, phase: Phase, inputs: Inputs, model: Any, done: int) -> None:
    plan, total = list(phase.plan)[done:], len(phase.plan)
    losses: list[float] = []
    steps = Progress(
        inputs.loader.batches(plan), phase.title, "step", total=total, done=done, quiet=job.quiet
    )
    for (indices, key), batch in zip(plan, steps, strict=True):
        random = np.random.default_rng([phase.seed, key[1], key[4], 5])
        given = phase.given(batch, key, np.array(indices), random)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(given, np.zeros((len(indices), 1), np.float32))))
        step = key[4] + 1
        if not np.isfinite(losses[-1]):
            raise UserError(
                f"{phase.title}: the loss is no number at step {step}: are the recordings damaged?"
            )
        steps.note(f"loss {np.mean(losses[-50:]):.3f}")
        if step % SAVE_EVERY == 0 and step < total:
            checkpoint.save(phase.state_file(job.out), model, model.optimizer, {"step": step})
            log.info("%s: step %d of %d: loss %.3f", phase.title, step, total, np.mean(losses[-50:]))


def _loss(_: Any, losses: Any) -> Any:
    return losses
