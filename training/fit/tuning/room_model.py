"""The loss of stage 1 of an encoder: to hear speech in a household as the pretrained encoder hears it dry.

No labels are used: tokens and pooled features of the same moments of the same voice are the
target (docs/model/base.md).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.fit.tuning import alignment
from training.fit.tuning.alignment import Scales


class RoomModel(keras.Model):  # type: ignore[misc]
    """An encoder in training beside the frozen one; the output is the loss of each utterance, for `train_on_batch`."""

    def __init__(self, network: Any, frozen: Any, scales: Scales) -> None:
        super().__init__(name="room")
        self.network = network
        # As a function: what is frozen is no part of the model, and of its checkpoints.
        self._dry = frozen.tokens
        self._scales = scales

    def build(self, shape: Any = None) -> None:
        """Do nothing: the network is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Map (features, mask, dry features, dry mask, shift `[n]` in tokens) to losses `[n, 1]`."""
        mel, mask, dry, dry_mask, shift = inputs
        found = alignment.compare(
            self.network, self._dry, (mel, mask), (dry, dry_mask), shift=shift, scales=self._scales
        )
        moved = (found.pooled - found.dry_pooled) * ops.convert_to_tensor(self._scales.pooled)
        return ops.reshape(ops.mean(ops.square(moved), axis=1) + found.tokens, (-1, 1))
