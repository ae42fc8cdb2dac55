"""From Keras weights to TFLite. Runs in a process of its own, because TFLite needs the TensorFlow backend.

`python -m training.export.convert RECIPE.json WEIGHTS.npz OUT.tflite [--float | --samples SAMPLES.npz]`

With samples a network becomes full int8: weights and activations, with float32 inputs and outputs that the graph itself
rounds and unpacks, so that the device sees one interface. The ranges of activations come from the samples.
Others get int8 weights and int8 matrix products with float activations (dynamic range).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import features
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.fit import checkpoint
from training.networks import backend
from training.recipes.recipe import Recipe


def convert(
    recipe: Recipe, weights: Path, out: Path, quantise: bool, labels: int, *, samples: Path | None = None
) -> None:
    """Convert weights to a `.tflite` file, in a process of its own: TensorFlow has to be Keras' backend.

    Without `quantise`: float32. With it: full int8 if `samples` is given, else int8 weights (dynamic range).
    `samples`, for a student only: an `.npz` with `features` `[n, frames, 80]` and `mask` `[n, tokens]`, from
    which the ranges of all activations are taken.
    """
    backend.choose("tensorflow")
    import tensorflow as tf

    from training.networks import transformer

    tf.get_logger().setLevel("ERROR")
    net = transformer.make(recipe, labels)
    net.set_weights(checkpoint.load_weights(weights))
    if samples is not None:
        with np.load(samples, allow_pickle=False) as archive:
            net.split_for_int8((archive["features"], archive["mask"]))
    if isinstance(net, transformer.Whisper):
        net.fold()
    spec = features.DEFAULT
    signature = [
        tf.TensorSpec((1, spec.window_frames, spec.mels), tf.float32, name="features"),
        tf.TensorSpec((1, spec.tokens), tf.float32, name="mask"),
    ]

    @tf.function(input_signature=signature)
    def serve(features, mask):  # type: ignore[no-untyped-def]
        names = ("logits", "embedding", "arousal")
        return dict(zip(names, net((features, mask), training=False), strict=False))

    # Variables become constants first: otherwise the converter keeps them as resources that are not initialised.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if quantise and samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _rows(samples)
        # tflite-runtime 2.14 knows dense layers with one scale alone; `training/networks/small.py` has none.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    elif quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # XNNPACK multiplies in int8 only where each output channel has its own scale; otherwise it unpacks to float.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = False
    checkpoint.write_bytes(out, converter.convert())


def _rows(samples: Path) -> Iterator[list[NDArray[Any]]]:
    """In the order of the graph's inputs."""
    with np.load(samples, allow_pickle=False) as archive:
        mels, masks = archive["features"], archive["mask"]
    for mel, mask in zip(mels, masks, strict=True):
        yield [mel[None], mask[None]]


def in_own_process(
    recipe: Recipe,
    weights: Path,
    out: Path,
    quantise: bool = True,
    labels: int = len(LABELS),
    *,
    samples: Path | None = None,
) -> None:
    """Do the same as `convert` in a fresh Python process. Raises `UserError` with the end of its output if it fails."""
    beside = out.with_suffix(".recipe.json")
    beside.write_bytes(msgspec.json.encode(recipe))
    command = [sys.executable, "-m", "training.export.convert", str(beside), str(weights), str(out)]
    command += ["--labels", str(labels)]
    if not quantise:
        command.append("--float")
    if samples is not None:
        command += ["--samples", str(samples)]
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        beside.unlink()
    if done.returncode:
        raise UserError(f"the conversion to TFLite failed: {done.stderr.strip()[-2000:]}")


def main() -> int:
    """Run a conversion as the child process of `in_own_process`; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--float", action="store_true", help="leave the weights in float32")
    parser.add_argument("--labels", type=int, default=len(LABELS), help="how many (default: %(default)s)")
    parser.add_argument("--samples", type=Path, help="inputs for the ranges of activations: full int8")
    options = parser.parse_args()
    recipe = msgspec.json.decode(options.recipe.read_bytes(), type=Recipe)
    convert(recipe, options.weights, options.out, not options.float, options.labels, samples=options.samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
