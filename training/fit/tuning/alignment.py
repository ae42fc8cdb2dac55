"""Tokens of speech in a household beside those of the same moments of dry speech, and the error between both.

Both are trimmed to the speech, and an echo or a noise moves its bounds. Dry speech is cut at a whole number of tokens
(20 ms) from where speech in the household begins (`household.apply`), so tokens are compared pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.fit import checkpoint
from training.fit.batches import Batch

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Scales:
    """One over the deviation of what the pretrained encoder gives for dry speech."""

    tokens: Float
    """`[pooled layers, width]`."""
    pooled: Float
    """`[pooled size]`."""

    def write(self, path: Path) -> None:
        """Write both to an `.npz`. Raises `UserError` when the disk is full."""
        checkpoint.write_arrays(path, {"tokens": self.tokens, "pooled": self.pooled})


def read(path: Path) -> Scales:
    """Read what `Scales.write` has written. Raises `UserError` for any other file."""
    try:
        with np.load(path) as archive:
            return Scales(archive["tokens"], archive["pooled"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read ({error}): remove it, and it is made again") from None


def measure(encoder: Any, served: Iterable[Batch]) -> Scales:
    """Measure the scales of an encoder (`transformer.Whisper`) on the dry speech of some batches."""
    tokens: list[list[Float]] = []
    pooled: list[Float] = []
    for batch in served:
        assert batch.dry is not None
        # Converted here: a graphics card adds no array of NumPy to one of its own.
        inputs = [ops.convert_to_tensor(part) for part in (batch.dry.features, batch.dry.mask)]
        outputs, mask = encoder.tokens(inputs)
        valid = batch.dry.mask > 0
        tokens.append([ops.convert_to_numpy(one)[valid] for one in pooled_layers(encoder, outputs)])
        pooled.append(ops.convert_to_numpy(encoder.pool_outputs(outputs, mask)))
    deviations = [np.concatenate(layer).std(axis=0) for layer in zip(*tokens, strict=True)]
    return Scales(
        (1.0 / (np.stack(deviations) + 1e-3)).astype(np.float32),
        (1.0 / (np.concatenate(pooled).std(axis=0) + 1e-6)).astype(np.float32),
    )


@dataclass(frozen=True)
class Compared:
    """What a network makes of utterances in a household, and how far it is from what another makes of them, dry."""

    pooled: Any
    """`[batch, size]`."""
    dry_pooled: Any
    """Those of dry speech, `[batch, size]`, without a gradient."""
    tokens: Any
    """The error of the tokens, a scalar: see `error`."""


def compare(network: Any, dry_tokens: Any, inputs: Any, dry: Any, *, shift: Any, scales: Scales) -> Compared:
    """Compare what a network (`transformer.Whisper`) makes of `inputs` with what `dry_tokens` makes of `dry`.

    `inputs` and `dry`: features and mask, as `network.tokens` and `dry_tokens`, that of a frozen network of the same
    shape, take them; `shift`: see `places`.
    """
    outputs, _ = network.tokens(inputs)
    wanted = [ops.stop_gradient(one) for one in dry_tokens(dry)[0]]
    layers = [pooled_layers(network, some) for some in (outputs, wanted)]
    return Compared(
        network.pool_outputs(outputs, inputs[1]),
        network.pool_outputs(wanted, dry[1]),
        error(layers[0], layers[1], scales.tokens, places(shift, inputs[1], dry[1])),
    )


def pooled_layers(encoder: Any, outputs: Sequence[Any]) -> list[Any]:
    """Return those of the outputs of all blocks, `[batch, tokens, width]` each, that the encoder pools."""
    return list(outputs[encoder.first_pooled - 1 :])


def places(shift: Any, mask: Any, dry_mask: Any) -> Any:
    """Return which token of a household is at the same moment as which dry one: `[batch, dry tokens, tokens]`.

    `shift`, integers `[batch]`: tokens from the first of the household to the first dry one, negative where that is
    earlier. `mask`, `[batch, tokens]`, and `dry_mask`, `[batch, dry tokens]`: 1 where a token is valid. The result is
    1 for a pair of valid tokens of the same moment, else 0.
    """
    tokens, dry_tokens = ops.shape(mask)[1], ops.shape(dry_mask)[1]
    wanted = ops.arange(dry_tokens, dtype="int32")[None, :, None] + ops.cast(shift, "int32")[:, None, None]
    same = ops.cast(ops.equal(wanted, ops.arange(tokens, dtype="int32")[None, None, :]), "float32")
    return same * mask[:, None, :] * dry_mask[:, :, None]


def error(outputs: Sequence[Any], dry: Sequence[Any], scales: Float, pairs: Any) -> Any:
    """Mean squared error of tokens at the same moments, in units of their deviation, over all layers: a scalar.

    `outputs` and `dry`: tokens of each layer, float32 `[batch, tokens, width]`; `scales`: float32 `[layers, width]`;
    `pairs`: as `places` returns it.
    """
    counted = ops.sum(pairs, axis=2)
    total = 0.0
    for own, other, scale in zip(outputs, dry, scales, strict=True):
        # A product with ones and zeros gathers, for any number of tokens and in every backend.
        difference = (ops.matmul(pairs, own) - other * counted[:, :, None]) * ops.convert_to_tensor(scale)
        total = total + ops.sum(ops.mean(ops.square(difference), axis=-1))
    return total / (len(scales) * ops.maximum(ops.sum(counted), 1.0))
