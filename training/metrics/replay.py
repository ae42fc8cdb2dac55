"""Replay of the device's baseline and decision over outputs that were computed once.

Causal: an utterance is compared with a baseline that has learnt only from those before it. Baseline and decision are
the device's own (`edge.inference.baseline`, `edge.inference.decision`); no label is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.inference.baseline import Baseline
from edge.inference.bundle import Bundle, BundleError
from edge.inference.decision import decide, evidence_of, scaled_arousal, score
from edge.inference.relative_head import RelativeHead
from edge.protocol import AROUSAL_STEPS, LABELS, UNCERTAIN
from training.metrics.predictions import Predictions, softmax

Float = NDArray[np.float64]
ORDERS = 5
SEED = 1
ONE_EMOTION_LENGTH = 200
"""Utterances of a single label in a row, of protocol `one-emotion`."""
UNCERTAIN_INDEX = -1


@dataclass(frozen=True)
class Decisions:
    """What the device decides about `n` utterances, in the order in which they were replayed."""

    labels: NDArray[np.int64]
    """`[n]`: published label as an index into `LABELS`; -1: `uncertain`."""
    probabilities: Float
    """`[n, 7]`: published."""
    balanced: Float
    """`[n, 7]`: where all labels are equally likely, as they are in a corpus of acted speech."""
    score: Float
    """`[n]`: what is compared with the threshold of the operating point."""
    evidence: Float
    """`[n]`: log odds of any emotion against neutral."""
    relative_arousal: Float
    """`[n]`: neither scaled nor clipped."""
    arousal: Float
    """`[n]`: published, -1 to 1, in the steps of an event."""


def head_of(bundle: Bundle) -> RelativeHead:
    """Return the relative head of a bundle. Raises `BundleError` where it has an absolute one."""
    if bundle.manifest.relative is None:
        raise BundleError(f"{bundle.path}: its head is not relative to a baseline")
    return bundle.manifest.relative


def replay(
    head: RelativeHead,
    outputs: Float,
    enough_speech: NDArray[np.bool_],
    *,
    baseline: Baseline | None = None,
    learn: NDArray[np.bool_] | None = None,
) -> Decisions:
    """Decide utterances one after the other, with a baseline that learns; `outputs` are `[n, 8]`.

    `enough_speech`, bool `[n]`: whether an utterance is long enough. Continues with `baseline`, or starts with a new
    one. It learns from every utterance that is long enough; with `learn`, bool `[n]`, only from those.
    """
    room = baseline or Baseline(head.baseline)
    count = len(outputs)
    labels = np.full(count, UNCERTAIN_INDEX, np.int64)
    probabilities, balanced = np.empty((count, len(LABELS))), np.empty((count, len(LABELS)))
    scores, evidence, relative, arousal = (np.empty(count) for _ in range(4))
    for index, output in enumerate(outputs):
        found = room.relative(output)
        decision = decide(found, head)
        if enough_speech[index] and decision.event_type != UNCERTAIN:
            labels[index] = LABELS.index(decision.event_type)
        probabilities[index] = decision.probabilities
        balanced[index] = softmax(found.logits / head.decision.temperature)
        scores[index], evidence[index] = score(found, head), evidence_of(found, head)
        relative[index] = scaled_arousal(found, head)
        arousal[index] = round(decision.arousal * AROUSAL_STEPS) / AROUSAL_STEPS
        if enough_speech[index] and (learn is None or learn[index]):
            room.add(output)
    return Decisions(labels, probabilities, balanced, scores, evidence, relative, arousal)


def published(
    bundle: Bundle, outputs: Float, enough_speech: NDArray[np.bool_], *, baseline: bool = True
) -> Decisions:
    """Return what the device publishes for utterances with these outputs, float64 `[n, 7 or 8]`.

    They come one after the other in a new room. Without `baseline` nothing is learnt of it.
    """
    if bundle.manifest.relative is not None:
        learn = None if baseline else np.zeros(len(outputs), np.bool_)
        return replay(bundle.manifest.relative, outputs, enough_speech, learn=learn)
    shares = softmax(outputs / bundle.manifest.temperature)
    sure = enough_speech & (shares.max(axis=1) >= bundle.manifest.abstain_below)
    labels = np.where(sure, shares.argmax(axis=1), UNCERTAIN_INDEX).astype(np.int64)
    nothing = np.full(len(outputs), np.nan)
    return Decisions(labels, shares, shares, nothing, nothing, nothing, nothing)


def without_baseline(bundle: Bundle, found: Predictions) -> Float:
    """Return probabilities, float `[n, 7]`, without a baseline of the room: relative to average ordinary speech."""
    if bundle.manifest.relative is None:
        return softmax(found.logits / bundle.manifest.temperature)
    none = np.zeros(len(found.truth), np.bool_)
    return replay(bundle.manifest.relative, found.outputs, found.enough_speech, learn=none).balanced


def orders(
    found: Predictions, seed: int = SEED, count: int = ORDERS
) -> Iterator[dict[str, NDArray[np.intp]]]:
    """Yield for each repetition a random order of the utterances of every room: room -> indices, int64 `[n]`."""
    rooms = np.array(found.rooms)
    for repetition in range(count):
        yield {
            name: np.random.default_rng([seed, repetition]).permutation(np.flatnonzero(rooms == name))
            for name in sorted(set(found.rooms))
        }


def in_orders(bundle: Bundle, found: Predictions, seed: int = SEED, count: int = ORDERS) -> Iterator[Float]:
    """Play the clips of each room in `count` random orders, and classify each with the baseline of those before it.

    Yields for each order the balanced probabilities, float64 `[n, 7]`, in the order of the clips in `found`. Raises
    `BundleError` for a bundle that does not use a baseline.
    """
    head = head_of(bundle)
    for rooms in orders(found, seed, count):
        result = np.empty((len(found.truth), len(LABELS)))
        for order in rooms.values():
            result[order] = replay(head, found.outputs[order], found.enough_speech[order]).balanced
        yield result


def repeat(
    places: NDArray[np.intp], random: np.random.Generator, length: int = ONE_EMOTION_LENGTH
) -> NDArray[np.intp]:
    """Draw `length` of these indices, int64 `[n]`.

    Where there are fewer, all are repeated, each time in another order.
    """
    rounds = -(-length // places.size)
    return np.concatenate([random.permutation(places) for _ in range(rounds)])[:length]
