"""The head of a frozen encoder in closed form: pooled features of augmented speech, PCA, logistic regression.

A head that is fitted first, and alone, keeps what a pretrained encoder knows of speakers that are in no corpus;
training everything at once from a random head loses it (Kumar et al. 2022, arXiv 2202.10054, "linear probing, then
fine-tuning"). With two dozen speakers that decides: docs/model/base.md. The pooled numbers are written to the run's
folder part by part, so that a kill costs seconds; the rest is solved in one go by scikit-learn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data.corpora.clip import ORDINARY, Clip
from training.data.progress import Progress
from training.data.task import Task
from training.fit import batches, checkpoint, data_loader
from training.fit.regression import regress
from training.networks.head import Solved
from training.recipes.recipe import Augment, Probe

log = logging.getLogger(__name__)
Float = NDArray[np.float32]
PART: Final = 512
"""Clips of one file."""
CLEAN: Final = Augment(
    gain_db=(0.0, 0.0), speed_share=0.0, noise_share=0.0, reverberation_share=0.0, edge_ms=0, frequency_masks=0,
    time_masks=0, mixup=0.0,
)  # fmt: skip
"""As the device hears it: nothing is changed."""
Serve = Callable[[Sequence[tuple[Sequence[int], list[int]]]], Iterator[batches.Batch]]


class Pooler(keras.Model):  # type: ignore[misc]
    """A Keras model of the network up to its pooled features, for `predict_on_batch`."""

    def __init__(self, network: Any) -> None:
        super().__init__(name="pooler")
        self.network = network

    def build(self, shape: Any = None) -> None:
        """Do nothing: the network is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the pooled features, `[batch, network.pooled_size]`, of (features, mask)."""
        return self.network.pool(inputs)


def by_length(lengths: Sequence[float]) -> list[int]:
    """Return the clip indices sorted by length, so that batches need little padding."""
    return sorted(range(len(lengths)), key=lambda index: lengths[index])


def gather(
    network: Any,
    source: batches.Source,
    serve: Serve,
    lengths: Sequence[float],
    *,
    seed: int,
    out: Path,
    quiet: bool,
) -> tuple[Float, NDArray[np.int64], NDArray[np.int64]]:
    """Compute the pooled features of all clips in all rounds.

    What the folder `out` already holds is not computed again. Returns features float32 `[rounds * n, size]`, label
    indices and households `[rounds * n]`, in the order of `by_length`, the clean round first. Raises `UserError` where
    the encoder outputs NaN or infinity.
    """
    out.mkdir(parents=True, exist_ok=True)
    pooler, batch = Pooler(network), source.recipe.batch
    clean = msgspec.structs.replace(source.recipe, augment=CLEAN)
    unchanged = batches.Source(source.clips, source.labels, source.sounds, [], clean)
    left = [part for part in _parts(source, lengths) if not _part_file(out, part[0], part[1]).is_file()]
    if left and not quiet:
        log.info(
            "frozen encoder: %d parts of up to %d clips; the first one says how long one takes",
            len(left),
            PART,
        )
    for turn, place, part in Progress(left, "frozen encoder", "part", quiet=quiet):
        path = _part_file(out, turn, place)
        groups = [part[start : start + batch] for start in range(0, len(part), batch)]
        tasks = [(group, [seed, turn, 3, place, step]) for step, group in enumerate(groups)]
        served = serve(tasks) if turn else data_loader.prefetch(unchanged.batch(task) for task in tasks)
        pooled = np.concatenate([pooler.predict_on_batch((one.features, one.mask)) for one in served])
        if not np.isfinite(pooled).all():
            raise UserError(
                f"the encoder gives numbers that are none, in round {turn + 1}: are its weights damaged?"
            )
        checkpoint.write_array(path, pooled.astype(np.float16))
    return gathered(source, lengths, seed=seed, out=out)


def gathered(
    source: batches.Source, lengths: Sequence[float], *, seed: int, out: Path
) -> tuple[Float, NDArray[np.int64], NDArray[np.int64]]:
    """Read the pooled features that `gather` has written to the folder `out`.

    Returns what `gather` does: features float32 `[rounds * n, size]`, label indices and households `[rounds * n]`.
    Raises `UserError` where a part is missing, cannot be read or is of other clips.
    """
    found: list[Float] = []
    labels: list[int] = []
    homes: list[int] = []
    for turn, place, part in _parts(source, lengths):
        path = _part_file(out, turn, place)
        try:
            pooled = np.load(path).astype(np.float32)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: pooled features cannot be read: {error}") from None
        if len(pooled) != len(part):
            raise UserError(f"{path}: pooled features of {len(pooled)} clips, not of {len(part)}")
        found.append(pooled)
        labels += [_index(source, index) for index in part]
        # Households of different rounds are different ones.
        homes += [int(home) + turn * len(lengths) if turn else -1 for home in source.homes(seed, turn)[part]]
    return np.concatenate(found), np.array(labels, np.int64), np.array(homes, np.int64)


def _parts(source: batches.Source, lengths: Sequence[float]) -> list[tuple[int, int, list[int]]]:
    """Round, number and clips of each file of pooled features."""
    assert source.recipe.probe is not None
    order = by_length(lengths)
    parts = [order[start : start + PART] for start in range(0, len(order), PART)]
    return [
        (turn, place, part) for turn in range(source.recipe.probe.rounds) for place, part in enumerate(parts)
    ]


def _part_file(out: Path, turn: int, place: int) -> Path:
    return out / f"round-{turn:02d}-{place:02d}.npy"


def _index(source: batches.Source, place: int) -> int:
    label = source.clips[place].label
    return 0 if label == ORDINARY else source.labels.index(label)


def shares(task: Task, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Weight of each clip, float64 `[n]`: one over the square root of the size of its corpus's label; the mean is 1."""
    cells: dict[tuple[str, str], int] = {}
    for clip in task.fitting:
        cells[clip.corpus, clip.label] = cells.get((clip.corpus, clip.label), 0) + 1
    weights = np.array([cells[clip.corpus, clip.label] ** -0.5 for clip in clips])
    result: NDArray[np.float64] = weights / weights.mean()
    return result


def solve(
    pooled: Float, truth: NDArray[np.int64], weights: NDArray[np.float64], how: Probe, size: int
) -> Solved:
    """Standardise, keep the `size` largest principal components, and fit a multinomial logistic regression.

    `pooled` float32 `[n, features]`, label indices `truth` and `weights` `[n]`. Raises `UserError` where a label has
    no recording. The penalty is on the weights of the components in units of the standardised features, so a component
    with little variance counts little.
    """
    from sklearn.decomposition import PCA

    centre, scale = pooled.mean(axis=0), 1.0 / (pooled.std(axis=0) + 1e-6)
    standard = (pooled - centre) * scale
    size = min(size, *standard.shape)
    analysis = PCA(size, svd_solver="covariance_eigh").fit(standard)
    components = analysis.components_.T.astype(np.float32)
    inputs = standard @ components
    solver = regress(inputs, truth, weights, how.penalty, steps=300)
    if not np.array_equal(solver.classes_, np.arange(solver.classes_.size)):
        raise UserError("a label has no recording to learn from")
    logits = solver.decision_function(inputs)
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(truth)), truth]
    return Solved(
        centre.astype(np.float32), scale.astype(np.float32), components,
        np.sqrt(np.maximum(analysis.explained_variance_, 1e-6)).astype(np.float32), solver.coef_.T.astype(np.float32),
        solver.intercept_.astype(np.float32), float(np.average(losses, weights=weights)),
    )  # fmt: skip
