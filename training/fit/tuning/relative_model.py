"""The loss of stage 2: emotion and arousal of an utterance against the neutral ones of its household.

And two that keep what was known: the tuned network, which hears speech in a room, is held near a frozen one, which
hears the same speech dry; and a student is given the answers of its teacher beside the labels (Hinton et al. 2015,
arXiv 1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge.inference.relative_head import HIGH_AROUSAL, LOW_AROUSAL
from edge.protocol import LABELS
from training.fit.tuning import alignment
from training.fit.tuning.alignment import Scales
from training.fit.tuning.settings import Tuning
from training.networks.head import Solved

SMOOTHING: Final = 0.05
NEUTRAL_WEIGHT: Final = 0.7
AROUSAL_WEIGHT: Final = 0.3
DECAY: Final = 0.1
"""Of half the squared weights of the head."""
TAUGHT_AROUSAL: Final = 0.1
"""Weight of the squared difference from the teacher's arousal, beside the cross-entropy of its labels."""
FARTHEST: Final = 25.0
"""Squared difference in arousal above which a teacher is not followed."""
HIGH: Final = np.array([name in HIGH_AROUSAL for name in LABELS], np.float32)
USED: Final = np.array([name in HIGH_AROUSAL + LOW_AROUSAL for name in LABELS], np.float32)


@dataclass(frozen=True)
class Start:
    """Head and origin to begin with, as `relative.solve` leaves them."""

    head: Solved
    origin: NDArray[np.float32]
    """Components of average neutral speech, `[components]`."""
    prior: float
    """Neutral utterances for which the origin stands in a baseline: as many as the head was solved with."""

    def components(self, pooled: Any) -> Any:
        """Map pooled features, `[n, size]`, to components, `[n, components]`."""
        centre, scale = (ops.convert_to_tensor(part) for part in (self.head.centre, self.head.scale))
        return ops.matmul((pooled - centre) * scale, self.head.components)


@dataclass(frozen=True)
class Teacher:
    """A network whose answers to dry speech are soft targets, and its head."""

    network: Any
    start: Start


class RelativeModel(keras.Model):  # type: ignore[misc]
    """Network and head; the output is the loss of each utterance, for `train_on_batch`."""

    def __init__(
        self,
        network: Any,
        frozen: Any,
        start: Start,
        how: Tuning,
        *,
        seed: int,
        scales: Scales | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """`scales` are needed where tokens are held; `network` and `frozen` are of one shape."""
        super().__init__(name="relative")
        head = start.head
        assert head.relative_bias is not None and (scales is not None or not how.held_tokens)
        self.network = network
        # As functions: what is frozen is no part of the model, and of its checkpoints.
        self._dry_tokens, self._dry_pooled = frozen.tokens, frozen.pool
        self._taught = teacher.network.pool if teacher else None
        self._teacher_start = teacher.start if teacher else start
        self._start, self._how, self._scales = start, how, scales
        self.head_kernel = self.add_weight(shape=head.kernel.shape, name="classify_kernel")
        self.head_bias = self.add_weight(shape=head.relative_bias.shape, name="classify_bias")
        self.head_kernel.assign(head.kernel)
        self.head_bias.assign(head.relative_bias)
        self.drop = keras.layers.Dropout(0.2, seed=seed)

    def build(self, shape: Any = None) -> None:
        """Do nothing: all is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Map (features, mask, dry features, dry mask, shift, label, home, counted) to losses `[n, 1]`.

        The last four are `[n]`: shifts are in tokens (`alignment.places`); labels are indices, -1 for ordinary speech;
        households are numbered from 0; `counted` is 1 where an utterance belongs to the baseline of the others, else 0.
        """
        mel, mask, dry, dry_mask, shift, label, home, counted = inputs
        pooled, losses = self._held((mel, mask), (dry, dry_mask), shift)
        same = _neighbours(home, counted)
        components = self._start.components(pooled)
        away = self.drop(components - _baseline(components, same, self._start), training=training)
        outputs = ops.matmul(away, self.head_kernel) + self.head_bias
        truth = ops.one_hot(ops.maximum(ops.cast(label, "int32"), 0), len(LABELS))
        losses = (
            losses + _emotion(outputs[:, : len(LABELS)], truth) + _arousal(outputs[:, len(LABELS)], truth)
        )
        losses = losses + 0.5 * DECAY * ops.sum(ops.square(self.head_kernel))
        if self._taught is not None:
            losses = losses + self._how.taught * self._lesson(outputs, (dry, dry_mask), same)
        return ops.reshape(losses, (-1, 1))

    def _held(self, inputs: Any, dry: Any, shift: Any) -> tuple[Any, Any]:
        """Pooled features, and how far they and the tokens are from those of dry speech: `[n, size]` and `[n]`."""
        if not self._how.held_tokens:
            pooled, before = self.network.pool(inputs), ops.stop_gradient(self._dry_pooled(dry))
            return pooled, self._how.held * self._distance(pooled, before)
        assert self._scales is not None
        found = alignment.compare(
            self.network, self._dry_tokens, inputs, dry, shift=shift, scales=self._scales
        )
        distance = self._distance(found.pooled, found.dry_pooled)
        return found.pooled, self._how.held * distance + self._how.held_tokens * found.tokens

    def _distance(self, pooled: Any, before: Any) -> Any:
        return ops.mean(ops.square((pooled - before) * ops.convert_to_tensor(self._start.head.scale)), axis=1)

    def _lesson(self, outputs: Any, dry: Any, same: Any) -> Any:
        """Distance of the outputs `[n, 8]` from what the teacher answers to the same speech, dry: `[n]`."""
        assert self._taught is not None
        start = self._teacher_start
        components = start.components(ops.stop_gradient(self._taught(dry)))
        away = components - _baseline(components, same, start)
        wanted = ops.matmul(away, start.head.kernel) + ops.convert_to_tensor(start.head.relative_bias)
        count = len(LABELS)
        labels = -ops.sum(ops.softmax(wanted[:, :count]) * ops.log_softmax(outputs[:, :count]), axis=1)
        arousal = ops.minimum(ops.square(outputs[:, count] - wanted[:, count]), FARTHEST)
        return labels + TAUGHT_AROUSAL * arousal


def _neighbours(home: Any, counted: Any) -> Any:
    """`[n, n]`: 1 where the second utterance belongs to the baseline of the first, else 0."""
    same = ops.cast(ops.equal(home[:, None], home[None, :]), "float32")
    # An utterance is no part of its own baseline.
    return same * (1.0 - ops.eye(ops.shape(home)[0])) * counted[None, :]


def _baseline(components: Any, same: Any, start: Start) -> Any:
    """Mean of the other counted utterances of the household of each, shrunk towards the origin."""
    total = ops.matmul(same, components) + start.prior * ops.convert_to_tensor(start.origin)
    return total / (ops.sum(same, axis=1, keepdims=True) + start.prior)


def _emotion(logits: Any, truth: Any) -> Any:
    smooth = truth * (1.0 - SMOOTHING) + SMOOTHING / len(LABELS)
    losses = -ops.sum(smooth * ops.log_softmax(logits), axis=1)
    return losses * (1.0 - (1.0 - NEUTRAL_WEIGHT) * truth[:, 0])


def _arousal(logit: Any, truth: Any) -> Any:
    high, used = (ops.sum(truth * ops.convert_to_tensor(labels), axis=1) for labels in (HIGH, USED))
    # Binary cross-entropy of a logit.
    losses = ops.softplus(logit) - high * logit
    return AROUSAL_WEIGHT * used * losses
