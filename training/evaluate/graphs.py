"""A graph that is no bundle yet, such as that of one fold, run by the device's own classifier all the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.inference import features
from edge.inference.bundle import MODEL, Bundle, Manifest, TensorSpec
from edge.inference.interpreter import Interpreter, Tensor
from edge.inference.relative_head import RelativeHead
from edge.util.errors import UserError


def bare(
    folder: Path, name: str, labels: Sequence[str], size: int, relative: RelativeHead | None = None
) -> Bundle:
    """Wrap `folder/model.tflite` in a bundle, uncalibrated and unchecked: for `training.metrics.predictions` only.

    `labels` may be others than the device's; `relative` are the constants of a relative head, whose graph has an output
    of arousal, too. Raises `UserError` where the graph has no such outputs.
    """
    net = Interpreter(folder / MODEL)
    if relative is not None:
        relative = msgspec.structs.replace(relative, arousal=_named(folder, net.outputs, 1))
    manifest = Manifest(
        name=name, version="0.0.0", labels=tuple(labels), sample_rate=16000, features=features.DEFAULT,
        features_sha256=features.DEFAULT.sha256(), inputs=_specs(net.inputs), outputs=_specs(net.outputs),
        logits=_named(folder, net.outputs, len(labels)), embedding=_named(folder, net.outputs, size),
        kernels="float", temperature=1.0, abstain_below=0.0, min_ms=30, embedding_size=size, metrics={},
        corpora=(), licence="", min_daemon="0.0.0", created="", files={}, relative=relative,
    )  # fmt: skip
    return Bundle(folder, manifest)


def _named(folder: Path, tensors: Sequence[Tensor], size: int) -> str:
    for tensor in tensors:
        if tensor.shape == (1, size):
            return tensor.name
    raise UserError(f"{folder / MODEL}: has no output of {size} numbers")


def _specs(tensors: Sequence[Tensor]) -> Any:
    return tuple(TensorSpec(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors)  # type: ignore[arg-type]
