"""A network with its logits as the only output, for `train_on_batch`."""

from __future__ import annotations

from typing import Any

import keras


class LogitsModel(keras.Model):  # type: ignore[misc]
    """Wraps a network of two outputs, logits and embedding; the loss is of the logits alone."""

    def __init__(self, network: Any) -> None:
        super().__init__(name="logits")
        self.network = network

    def build(self, shape: Any = None) -> None:
        """Do nothing: the network is built already."""
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return only the logits of the wrapped network, `[batch, labels]`."""
        return self.network(inputs, training=training)[0]
