"""A head relative to a baseline: every training example is an utterance minus a simulated baseline of its household.

What a corpus, a microphone or a language adds to all its recordings is in both and cancels, so ordinary speech of
hundreds of speakers can be the `neutral` of a head without making it a detector of corpora (docs/model/base.md). A
simulated baseline is the mean of a few neutral utterances of the same household, shrunk towards the mean of all neutral
speech, as the device's is (`edge.inference.baseline`). Beside the logits an arousal is fitted: high against low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.relative_head import HIGH_AROUSAL, LOW_AROUSAL
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.data.corpora.clip import ORDINARY, Clip
from training.fit.regression import regress
from training.networks.head import Solved
from training.recipes.recipe import Probe, Relative

Float = NDArray[np.float32]
FIELD: Final = "emospeech"
ENOUGH: Final = 3
"""Neutral utterances below which a household is too small for a baseline of its own; the corpus is taken then."""
ORDINARY_INDEX: Final = -1
STEPS: Final = 100
"""Of a regression, at most. The head of `base` would converge after 255, in 2.5 times the time."""


@dataclass(frozen=True)
class Utterances:
    """Pooled features of `n` utterances of all rounds, with label, corpus, speaker and household of each."""

    pooled: Float
    """Float32 `[n, size]`."""
    label: NDArray[np.int64]
    """`[n]`: index into the labels; -1 for ordinary speech."""
    corpus: NDArray[np.str_]
    """`[n]`; each place of `emospeech` counts as a corpus."""
    speaker: NDArray[np.str_]
    household: NDArray[np.int64]
    """`[n]`: unique over rounds; -1 in the clean round."""

    def take(self, chosen: NDArray[np.bool_]) -> Utterances:
        """Return the utterances where `chosen`, bool `[n]`, is true."""
        return Utterances(
            self.pooled[chosen], self.label[chosen], self.corpus[chosen], self.speaker[chosen],
            self.household[chosen],
        )  # fmt: skip

    @property
    def neutral(self) -> NDArray[np.bool_]:
        """Which utterances are labelled neutral or are ordinary speech, bool `[n]`."""
        found: NDArray[np.bool_] = self.label <= 0
        return found


def describe(
    clips: Sequence[Clip], labels: Sequence[str], households: NDArray[np.int64], pooled: Float
) -> Utterances:
    """Join pooled features, float32 `[rounds * n, size]`, with the `n` clips, the clean round first."""
    rounds = len(pooled) // len(clips)
    label = np.array([ORDINARY_INDEX if c.label == ORDINARY else labels.index(c.label) for c in clips])
    corpus = np.array([c.speaker if c.corpus == FIELD else c.corpus for c in clips])
    # Speakers of emospeech are unknown: every clip is one of its own.
    speaker = np.array([f"{c.speaker}/{c.path.name}" if c.corpus == FIELD else c.speaker for c in clips])
    tiled = [np.tile(values, rounds) for values in (label, corpus, speaker)]
    return Utterances(pooled, tiled[0], tiled[1], tiled[2], households)


def solve(utterances: Utterances, probe: Probe, how: Relative, size: int, seed: int = 1) -> Solved:
    """Fit logits and arousal on the `size` largest principal components of the standardised features.

    Raises `UserError` where a label has no recording.
    """
    from sklearn.decomposition import PCA

    pooled = utterances.pooled
    centre, scale = pooled.mean(axis=0), 1.0 / (pooled.std(axis=0) + 1e-6)
    size = min(size, *pooled.shape)
    analysis = PCA(size, svd_solver="covariance_eigh").fit((pooled - centre) * scale)
    components = analysis.components_.T.astype(np.float32)
    inputs = ((pooled - centre) * scale) @ components
    origin = origin_of(inputs, utterances)
    examples, chosen = differences(inputs, utterances, origin, how, np.random.default_rng([seed, 12]))
    truth = np.maximum(utterances.label[chosen], 0)
    if set(truth.tolist()) != set(range(int(utterances.label.max()) + 1)):
        raise UserError("a label has no recording to learn from")
    weights = weigh(utterances.label[chosen], utterances.corpus[chosen], how)
    solver = regress(examples, truth, weights, probe.penalty, steps=STEPS)
    arousal = _arousal(examples, utterances.label[chosen], weights, how)
    kernel = np.concatenate([solver.coef_.T, arousal[0]], axis=1).astype(np.float32)
    bias = np.append(solver.intercept_, arousal[1]).astype(np.float32)
    probabilities = solver.predict_proba(examples)[np.arange(len(truth)), truth]
    loss = float(np.average(-np.log(np.maximum(probabilities, 1e-12)), weights=weights))
    spread = np.sqrt(np.maximum(analysis.explained_variance_, 1e-6)).astype(np.float32)
    # The graph answers as if the baseline were that of ordinary speech in general.
    return Solved(
        centre.astype(np.float32), scale.astype(np.float32), components, spread, kernel,
        (bias - origin @ kernel).astype(np.float32), loss, bias,
    )  # fmt: skip


def _arousal(
    examples: Float, label: NDArray[np.int64], weights: NDArray[np.float64], how: Relative
) -> tuple[NDArray[np.float64], float]:
    """Kernel `[size, 1]` and bias of high against low arousal, each of half the weight."""
    high = np.isin(label, [LABELS.index(name) for name in HIGH_AROUSAL])
    used = high | np.isin(label, [ORDINARY_INDEX, *(LABELS.index(name) for name in LOW_AROUSAL)])
    balanced = weights.copy()
    for side in (high, used & ~high):
        balanced[side] /= max(balanced[side].sum(), 1e-12)
    balanced = balanced[used] / balanced[used].mean()
    solver = regress(examples[used], high[used], balanced, how.arousal_penalty, steps=STEPS)
    return solver.coef_.T, float(solver.intercept_[0])


def origin_of(inputs: Float, utterances: Utterances) -> Float:
    """Return the average neutral speech, float32 `[d]`, of `inputs`, float32 `[n, d]`.

    It is the mean over corpora of their means in the clean round.
    """
    clean = utterances.neutral & (utterances.household < 0)
    means = [
        inputs[clean & (utterances.corpus == name)].mean(axis=0)
        for name in np.unique(utterances.corpus[clean])
    ]
    result: Float = np.mean(means, axis=0).astype(np.float32)
    return result


def differences(
    inputs: Float, utterances: Utterances, origin: Float, how: Relative, random: np.random.Generator
) -> tuple[Float, NDArray[np.int64]]:
    """Simulate baselines, and subtract one from each utterance of `inputs`, float32 `[n, d]`.

    Returns the examples, float32 `[draws * n, d]`, and the index of the utterance of each,
    int64 `[draws * n]`.
    """
    pools = _Pools(utterances)
    count = len(inputs)
    examples = np.empty((how.draws * count, inputs.shape[1]), np.float32)
    for row in range(how.draws * count):
        place = row % count
        baseline = origin
        if random.random() >= how.absolute_share:
            pool = pools.of(place, random)
            most = int(np.exp(random.uniform(0.0, np.log(how.most_neutral + 1))))
            chosen = pool[random.integers(len(pool), size=min(most, len(pool)))] if len(pool) else pool
            chosen = chosen[chosen != place]
            if len(chosen):
                total = inputs[chosen].sum(axis=0) + how.prior * origin
                baseline = total / (len(chosen) + how.prior)
        examples[row] = inputs[place] - baseline
    return examples, np.tile(np.arange(count), how.draws)


class _Pools:
    """Places of the neutral utterances that a simulated baseline of an utterance may have learnt from."""

    def __init__(self, utterances: Utterances) -> None:
        self._utterances = utterances
        rounds = np.where(utterances.household < 0, 0, 1)
        self._households = _grouped(utterances.household, utterances.neutral & (rounds == 1))
        self._corpora = {
            turn: _grouped(utterances.corpus, utterances.neutral & (rounds == turn)) for turn in (0, 1)
        }
        self._speakers = _grouped(utterances.speaker, utterances.neutral & (rounds == 0))

    def of(self, place: int, random: np.random.Generator) -> NDArray[np.int64]:
        """The household in an augmented round; the speaker or the corpus in the clean one."""
        own = self._utterances
        nothing = np.empty(0, np.int64)
        augmented = own.household[place] >= 0
        pool = nothing
        if augmented:
            pool = self._households.get(own.household[place], nothing)
        elif random.random() < 0.5:
            pool = self._speakers.get(own.speaker[place], nothing)
        if len(pool) >= (ENOUGH if augmented else 1):
            return pool
        return self._corpora[int(augmented)].get(own.corpus[place], nothing)


def _grouped(keys: NDArray[Any], chosen: NDArray[np.bool_]) -> dict[Any, NDArray[np.int64]]:
    places = np.flatnonzero(chosen)
    order = places[np.argsort(keys[places], kind="stable")]
    names, starts = np.unique(keys[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def weigh(label: NDArray[np.int64], corpus: NDArray[np.str_], how: Relative) -> NDArray[np.float64]:
    """Return the weight of each example, float64 `[n]` with mean 1.

    It is one over the root of the size of its (corpus, label), with the parts in the proportion that the recipe says.
    """
    _, cell, counts = np.unique(
        np.char.add(np.char.add(corpus, "/"), label.astype(str)), return_inverse=True, return_counts=True
    )
    weights = counts[cell] ** -0.5
    field, ordinary = np.char.startswith(corpus, f"{FIELD}/"), label == ORDINARY_INDEX
    acted = weights[~field & ~ordinary].sum()
    for part, share in ((ordinary, how.ordinary), (field, how.field)):
        if part.any():
            weights[part] *= share * acted / weights[part].sum()
    result: NDArray[np.float64] = weights / weights.mean()
    return result
