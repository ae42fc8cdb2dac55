"""A tiny student with made-up weights and its full-int8 graph, made once and in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge.inference import features
from training.export import golden

RECIPE = """
name = "small"
architecture = "student"
embedding = 16
epochs = 2
draws = 24
batch = 4
head_rate = 2e-3
trunk_rate = 2e-3
[student]
width = 16
blocks = 2
reach = 5
[distil]
layers = 1
[probe]
rounds = 2
"""
MAKE = """
import sys
import numpy as np
from pathlib import Path
from training.networks import backend
from training.fit import checkpoint
from training.export import convert
from training.recipes import recipe
backend.choose("tensorflow", "torch", "jax")
from training.networks import transformer as network
root, toml = Path(sys.argv[1]), sys.argv[2]
net = network.make(recipe.load(toml))
random = np.random.default_rng(7)
weights = []
for variable, value in zip(net.weights, net.get_weights()):
    if value.ndim == 1:
        value = value + random.normal(0.0, 0.2, value.shape)
    else:
        value = random.normal(0.0, 2.0 / np.sqrt(value[..., 0].size), value.shape)
    weights.append(np.asarray(value, np.float32))
checkpoint.save_weights(root / "epoch-03.npz", weights)
convert.convert(recipe.load(toml), root / "epoch-03.npz", root / "float.tflite", False, 7)
convert.convert(recipe.load(toml), root / "epoch-03.npz", root / "model.tflite", True, 7, samples=root / "samples.npz")
"""


def speech(count: int, longest: float = 2.9) -> tuple[np.ndarray, np.ndarray]:
    """Features and masks of synthetic voices from 0.4 s to `longest`."""
    pairs = [
        features.network_input(features.to_float(golden.voice(seed, 0.4 + (longest - 0.4) * seed / count)))
        for seed in range(count)
    ]
    return np.concatenate([mel for mel, _ in pairs]), np.concatenate([mask for _, mask in pairs])


def make(root: Path) -> Path:
    """Writes `tiny.toml`, `samples.npz`, `epoch-03.npz`, `float.tflite` and `model.tflite`."""
    (root / "tiny.toml").write_text(RECIPE)
    mel, mask = speech(16)
    np.savez(root / "samples.npz", features=mel, mask=mask)
    command = [sys.executable, "-c", MAKE, str(root), str(root / "tiny.toml")]
    # Another test of this process may have chosen another backend, and TFLite needs this one.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return root
