"""The loss that tunes an encoder: emotion and arousal of an utterance against the neutral ones of its household.

And distillation: the tuned encoder, which hears speech in a room, is held near the frozen one, which hears the same
speech dry. So what is learnt is to hear through rooms, noise and microphones, and what was known of voices is kept.
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
from training.networks.head import Solved

PRIOR: Final = 5.0
"""Neutral utterances for which the mean of all neutral speech stands in a baseline."""
SMOOTHING: Final = 0.05
NEUTRAL_WEIGHT: Final = 0.7
AROUSAL_WEIGHT: Final = 0.3
DECAY: Final = 0.1
"""Of half the squared weights of the head."""
PRESERVED: Final = 0.3
"""Weight of the squared distance of the pooled features from those of the frozen encoder on dry speech, in units of
their deviation."""
HIGH: Final = np.array([name in HIGH_AROUSAL for name in LABELS], np.float32)
USED: Final = np.array([name in HIGH_AROUSAL + LOW_AROUSAL for name in LABELS], np.float32)


@dataclass(frozen=True)
class Start:
    """Head and origin to begin with, as `relative.solve` leaves them."""

    head: Solved
    origin: NDArray[np.float32]
    """Components of average neutral speech, `[components]`."""


class TuningModel(keras.Model):  # type: ignore[misc]
    """Encoder and head; the output is the loss of each utterance, for `train_on_batch`."""

    def __init__(self, network: Any, frozen: Any, layers: int, start: Start) -> None:
        super().__init__(name="tuning")
        head = start.head
        assert head.relative_bias is not None
        self.network, self.frozen = network, frozen
        for block in network.blocks[-layers:]:
            block.trainable = True
        tuned = {id(variable) for block in network.blocks[-layers:] for variable in block.variables}
        for variable in (*network.variables, *frozen.variables):
            variable.trainable = id(variable) in tuned
        self.centre, self.scale = head.centre, head.scale
        self.components, self.origin = head.components, start.origin
        self.head_kernel = self.add_weight(shape=head.kernel.shape, name="classify_kernel")
        self.head_bias = self.add_weight(shape=head.relative_bias.shape, name="classify_bias")
        self.head_kernel.assign(head.kernel)
        self.head_bias.assign(head.relative_bias)
        self.drop = keras.layers.Dropout(0.2, seed=3)

    def build(self, shape: Any = None) -> None:
        """Do nothing: all is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Map (features, mask, dry features, dry mask, label, household, counted) to losses `[n, 1]`.

        The last three are `[n]`: labels are indices, -1 for ordinary speech; households are numbered from 0; `counted`
        is 1 where an utterance belongs to the baseline of the others, else 0.
        """
        mel, mask, dry, dry_mask, label, home, counted = inputs
        pooled = self.network.pool((mel, mask))
        before = ops.stop_gradient(self.frozen.pool((dry, dry_mask)))
        moved = ops.mean(ops.square((pooled - before) * self.scale), axis=1)
        components = ops.matmul((pooled - self.centre) * self.scale, self.components)
        away = self.drop(components - self._baseline(components, home, counted), training=training)
        outputs = ops.matmul(away, self.head_kernel) + self.head_bias
        truth = ops.one_hot(ops.maximum(ops.cast(label, "int32"), 0), len(LABELS))
        losses = self._emotion(outputs[:, : len(LABELS)], truth) + self._arousal(
            outputs[:, len(LABELS)], truth
        )
        losses = losses + PRESERVED * moved + 0.5 * DECAY * ops.sum(ops.square(self.head_kernel))
        return ops.reshape(losses, (-1, 1))

    def _baseline(self, components: Any, home: Any, counted: Any) -> Any:
        """Mean of the other counted utterances of the household of each, shrunk towards the origin."""
        same = ops.cast(ops.equal(home[:, None], home[None, :]), "float32")
        # An utterance is no part of its own baseline.
        same = same * (1.0 - ops.eye(ops.shape(components)[0])) * counted[None, :]
        total = ops.matmul(same, components) + PRIOR * ops.convert_to_tensor(self.origin)
        return total / (ops.sum(same, axis=1, keepdims=True) + PRIOR)

    @staticmethod
    def _emotion(logits: Any, truth: Any) -> Any:
        smooth = truth * (1.0 - SMOOTHING) + SMOOTHING / len(LABELS)
        losses = -ops.sum(smooth * ops.log_softmax(logits), axis=1)
        return losses * (1.0 - (1.0 - NEUTRAL_WEIGHT) * truth[:, 0])

    @staticmethod
    def _arousal(logit: Any, truth: Any) -> Any:
        high, used = ops.sum(truth * HIGH, axis=1), ops.sum(truth * USED, axis=1)
        # Binary cross-entropy of a logit.
        losses = ops.softplus(logit) - high * logit
        return AROUSAL_WEIGHT * used * losses
