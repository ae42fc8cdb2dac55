"""From Keras weights to TFLite. Runs in a process of its own, because TFLite needs the TensorFlow backend.

`python -m training.convert RECIPE.json WEIGHTS.npz OUT.tflite [--float]`
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from edge.contract import LABELS
from edge.errors import UserError
from edge.model import features
from training import backend, checkpoint
from training.recipe import Recipe


def convert(recipe: Recipe, weights: Path, out: Path, quantise: bool, labels: int) -> None:
    """Writes a `.tflite` with int8 weights and int8 matrix products (dynamic range), or in float32."""
    backend.choose("tensorflow")
    import tensorflow as tf

    from training import network

    tf.get_logger().setLevel("ERROR")
    net = network.make(recipe, labels)
    net.set_weights(checkpoint.load_weights(weights))
    spec = features.DEFAULT
    signature = [
        tf.TensorSpec((1, spec.window_frames, spec.mels), tf.float32, name="features"),
        tf.TensorSpec((1, spec.tokens), tf.float32, name="mask"),
    ]

    @tf.function(input_signature=signature)
    def serve(features, mask):  # type: ignore[no-untyped-def]
        logits, embedding = net((features, mask), training=False)
        return {"logits": logits, "embedding": embedding}

    # Variables become constants first: otherwise the converter keeps them as resources that nobody initialises.
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # XNNPACK multiplies in int8 only where each output channel has its own scale; otherwise it unpacks to float.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = False
    checkpoint.write_bytes(out, converter.convert())


def in_own_process(
    recipe: Recipe, weights: Path, out: Path, quantise: bool = True, labels: int = len(LABELS)
) -> None:
    """Converts in a fresh interpreter. Raises `UserError` with the end of its output if it fails."""
    beside = out.with_suffix(".recipe.json")
    beside.write_bytes(msgspec.json.encode(recipe))
    command = [sys.executable, "-m", "training.convert", str(beside), str(weights), str(out)]
    command += ["--labels", str(labels)]
    if not quantise:
        command.append("--float")
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        beside.unlink()
    if done.returncode:
        raise UserError(f"the conversion to TFLite failed: {done.stderr.strip()[-2000:]}")


def main() -> int:
    """The command line of the child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--float", action="store_true", help="leave the weights in float32")
    parser.add_argument("--labels", type=int, default=len(LABELS), help="how many (default: %(default)s)")
    options = parser.parse_args()
    recipe = msgspec.json.decode(options.recipe.read_bytes(), type=Recipe)
    convert(recipe, options.weights, options.out, not options.float, options.labels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
