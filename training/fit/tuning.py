"""Tune layers of the encoder behind a head that is relative to a baseline; the head is thrown away.

A batch is a few simulated households. From each utterance the mean of the neutral ones of its household is subtracted,
as the device will (`edge.inference.baseline`), so what the layers learn is emotion against a room, not a corpus. The
head begins as the closed form leaves it (Kumar et al. 2022, arXiv 2202.10054); the result is the mean of the tuned and
the pretrained weights (Wortsman et al. 2022, arXiv 2109.01903), which keeps what the encoder knows of other languages.
Meanwhile its output is held near that of the pretrained encoder on the same speech without room, noise and microphone.
`fit --from` then solves the head anew. What it gains: docs/decisions/0027-all-layers-are-tuned-on-dry-speech.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge.util.errors import UserError
from training.data import task as tasks
from training.data.corpora.clip import ORDINARY, Clip
from training.fit import checkpoint, closed_form, optimizer, relative
from training.fit.batches import Source
from training.fit.inputs import Inputs, Job, read_inputs
from training.fit.tuning_model import Start, TuningModel
from training.networks import pretrained, transformer

log = logging.getLogger(__name__)
Ints = NDArray[np.int64]
SAVE_EVERY: Final = 50
"""Steps between two checkpoints."""


@dataclass(frozen=True)
class Tuning:
    """How the layers are tuned; the defaults are what `base-0.6.0` was made with."""

    layers: int = 4
    """So many of the last layers are tuned."""
    steps: int = 900
    households: int = 8
    """In one batch."""
    utterances: int = 24
    """Of one household, at most."""
    acted: float = 0.75
    """Share of households with acted speech, half of them of each corpus; the others are ordinary speech."""
    rounds: int = 3
    """Times that all clips are dealt to households anew."""
    kept: float = 0.5
    """Weight of the tuned layers in the mean with the pretrained ones."""


def run(job: Job, how: Tuning) -> Path:
    """Tune, or continue in `job.out`; write and return the weights that `fit --from` begins with. Raises `UserError`.

    Needs a recipe with a relative head. On two processor cores it takes a night, on a graphics card minutes.
    """
    recipe = job.recipe
    if recipe.relative is None or recipe.probe is None or how.layers > recipe.layers:
        raise UserError(f"{recipe.name}: only layers of an encoder with a relative head can be tuned")
    if not recipe.augment.households:
        raise UserError(
            f"{recipe.name}: layers are tuned on simulated households: set augment.households = true"
        )
    result = job.out / "tuned.npz"
    if result.is_file():
        return result
    task = job.task or tasks.shipped(job.data, ordinary=True)
    job.make_out()
    # Its speakers are unknown and most of it has no emotion: it is for the head alone.
    task = replace(task, fitting=[clip for clip in task.fitting if clip.corpus != relative.FIELD])
    inputs = read_inputs(job, task, dry=True)
    try:
        keras.utils.set_random_seed(job.seed)
        network, frozen = (transformer.make(recipe, len(inputs.task.labels)) for _ in range(2))
        for one in (network, frozen):
            one.load_pretrained(pretrained.load(job.data))
        before = network.get_weights()
        model = TuningModel(network, frozen, how.layers, _solved(job, inputs, network))
        model.build()
        _steps(job, how, inputs, model)
    finally:
        inputs.loader.close()
    mean = [
        (1.0 - how.kept) * old + how.kept * new
        for old, new in zip(before, network.get_weights(), strict=True)
    ]
    checkpoint.save_weights(result, mean)
    return result


def _solved(job: Job, inputs: Inputs, network: Any) -> Start:
    """The head in closed form on the pretrained layers."""
    recipe = job.recipe
    assert recipe.probe is not None and recipe.relative is not None
    pooled, _, homes = closed_form.gather(
        network, inputs.source, inputs.loader.batches, inputs.lengths,
        seed=job.seed, out=job.out / "pooled-pretrained", quiet=job.quiet,
    )  # fmt: skip
    order = [inputs.clips[index] for index in closed_form.by_length(inputs.lengths)]
    utterances = relative.describe(order, inputs.task.labels, homes, pooled)
    size = recipe.probe.components or recipe.embedding
    head = relative.solve(utterances, recipe.probe, recipe.relative, size, job.seed)
    components = ((pooled - head.centre) * head.scale) @ head.components
    return Start(head, relative.origin_of(components.astype(np.float32), utterances))


def _steps(job: Job, how: Tuning, inputs: Inputs, model: TuningModel) -> None:
    """All steps, from the checkpoint on where there is one."""
    state = job.out / "state.npz"
    recipe = msgspec.structs.replace(
        job.recipe, head_rate=1e-3, trunk_rate=1e-4, warm_up=0.1, weight_decay=0.0, clip_norm=1.0, average=0.0
    )
    model.compile(optimizer.make(recipe, how.steps), _loss)
    model.optimizer.build(model.trainable_variables)
    facts: dict[str, Any] = {
        "tuning": repr(how),
        "seed": job.seed,
        "task_sha256": inputs.task.sha256(),
        "step": 0,
    }
    if state.exists():
        found = checkpoint.facts_of(state)
        if found | {"step": 0} != facts:
            raise UserError(f"{state} belongs to another run: name another --out, or remove that folder")
        checkpoint.restore(state, model, model.optimizer)
        facts = found
        log.info("continuing at step %d", facts["step"])
    plans = list(plan(inputs.source, how, job.seed))[facts["step"] :]
    served = inputs.loader.batches([(indices, key) for indices, key in plans])
    losses: list[float] = []
    bar = tqdm(
        served, desc="tuning", unit="step", total=how.steps, initial=how.steps - len(plans), disable=job.quiet
    )
    for (indices, key), batch in zip(plans, bar, strict=True):
        rows = np.array(indices)
        random = np.random.default_rng([job.seed, key[1], key[4], 5])
        features = mask_bands(batch.features, random)
        assert batch.dry is not None
        given = (features, batch.mask, *batch.dry, *targets(inputs.source, key, rows, random))
        model.reset_metrics()
        losses.append(float(model.train_on_batch(given, np.zeros((len(rows), 1), np.float32))))
        if not np.isfinite(losses[-1]):
            raise UserError(f"the loss is no number at step {key[4] + 1}: are the recordings damaged?")
        facts["step"] = key[4] + 1
        bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
        if facts["step"] % SAVE_EVERY == 0:
            checkpoint.save(state, model, model.optimizer, facts)
            log.info("step %d of %d: loss %.3f", facts["step"], how.steps, np.mean(losses[-50:]))


def _loss(_: Any, losses: Any) -> Any:
    return losses


def plan(source: Source, how: Tuning, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the clips and the random key of every step; each key is `[seed, round, 3, 0, step]`."""
    groups = {turn: _households(source, seed, turn) for turn in range(1, how.rounds + 1)}
    for step in range(how.steps):
        turn = 1 + step % how.rounds
        random = np.random.default_rng([seed, 6, step])
        chosen: list[int] = []
        for _ in range(how.households):
            kind = "acted" if random.random() < how.acted else ORDINARY
            kinds = sorted(name for name in groups[turn] if (name == ORDINARY) == (kind == ORDINARY))
            own = groups[turn][str(random.choice(kinds or sorted(groups[turn])))]
            chosen += _some(source.clips, own[int(random.integers(len(own)))], how.utterances, random)
        yield chosen, [seed, turn, 3, 0, step]


def _households(source: Source, seed: int, turn: int) -> dict[str, list[Ints]]:
    """Clips of each household by acted corpus, or under `ordinary`."""
    homes, found = source.homes(seed, turn), dict[str, list[Ints]]()
    for home in np.unique(homes):
        places = np.flatnonzero(homes == home)
        first = source.clips[int(places[0])]
        found.setdefault(ORDINARY if first.label == ORDINARY else first.corpus, []).append(places)
    return found


def _some(clips: Sequence[Clip], places: Ints, most: int, random: np.random.Generator) -> list[int]:
    """At most `most` clips of a household: labels half-way balanced, neutral twice as often for its baseline."""
    labels = np.array([clips[int(place)].label for place in places])
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -0.5 * np.where(labels == "neutral", 2.0, 1.0)
    return [
        int(place)
        for place in random.choice(places, min(most, len(places)), replace=False, p=weights / weights.sum())
    ]


def targets(
    source: Source, key: Sequence[int], rows: Ints, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return label index (-1: ordinary), household within the batch, and whether it counts for the baseline.

    Each is `[n]`: int32, int32, float32. Of each household a random share of the neutral utterances counts, so that
    baselines of all ages are learnt from.
    """
    clips = [source.clips[int(row)] for row in rows]
    label = np.array([-1 if c.label == ORDINARY else source.labels.index(c.label) for c in clips], np.int32)
    _, home = np.unique(source.homes(key[0], key[1])[rows], return_inverse=True)
    share = random.random(int(home.max()) + 1)[home]
    counted = (label <= 0) & (random.random(len(rows)) < share)
    return label, home.astype(np.int32), counted.astype(np.float32)


def mask_bands(mels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Replace up to 8 mel bands of every second clip by its mean; log-mel float32 `[batch, frames, 80]`.

    SpecAugment (Park et al. 2019, arXiv 1904.08779), over frequency alone.
    """
    result = mels.copy()
    for row in np.flatnonzero(random.random(len(mels)) < 0.5):
        first, width = int(random.integers(72)), int(random.integers(9))
        result[row, :, first : first + width] = mels[row].mean()
    return result
