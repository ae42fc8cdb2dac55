"""The graph's form of a transformer block: it says what the network says, and gives the network's weights back."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

import keras  # noqa: E402

from edge.inference.interpreter import Interpreter  # noqa: E402
from tests.support.training import tiny_student  # noqa: E402
from training.export import convert, operators  # noqa: E402
from training.fit import checkpoint, resume  # noqa: E402
from training.networks import transformer  # noqa: E402
from training.recipes import recipe  # noqa: E402

RECIPE = recipe.Recipe(
    name="tiny", architecture="whisper", layers=2, embedding=16, epochs=0, draws=8, batch=8
)
QKV = 11
"""Place of the first block's query, key and value among the weights; without an arousal."""


@pytest.fixture(scope="module")
def network():
    """Weights at random, with layer norms and scores that matter."""
    net = transformer.make(RECIPE)
    random = np.random.default_rng(3)
    weights = []
    for variable in net.weights:
        size = tuple(variable.shape)
        if len(size) > 1:
            value = random.normal(0.0, 1.5 / np.sqrt(np.prod(size[:-1])), size)
        elif variable.path.endswith(("gamma", "scale")):
            value = random.uniform(0.3, 3.0, size)
        else:
            value = random.normal(0.0, 0.5, size)
        weights.append(value.astype(np.float32))
    net.set_weights(weights)
    assert tuple(net.weights[QKV].shape) == (512, 1536)
    return net


def outputs(net, inputs):
    return [keras.ops.convert_to_numpy(part) for part in net(inputs)]


def test_folded_blocks_say_what_the_network_says(network):
    inputs = tiny_student.speech(4)
    assert inputs[1].min() == 0.0  # masked tokens, too
    plain = outputs(network, inputs)
    network.fold()
    try:
        assert network.folded
        found = outputs(network, inputs)
    finally:
        network.folded = []
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * float(np.abs(one).max()))
    assert np.abs(plain[0][0] - plain[0][1]).max() > 0.1  # and it says something


@pytest.fixture(scope="module")
def graph(network, tmp_path_factory):
    for name in ("tensorflow", "ai_edge_litert"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} makes graphs, and is installed with roomtone[training]")
    root = tmp_path_factory.mktemp("folded")
    checkpoint.save_weights(root / "epoch-00.npz", network.get_weights())
    convert.in_own_process(RECIPE, root / "epoch-00.npz", root / "model.tflite")
    return root / "model.tflite"


def test_the_graph_has_cheap_layer_norms_and_near_answers(network, graph):
    names = operators.versions(graph)
    assert "RSQRT" in names and "NEG" not in names
    mels, masks = tiny_student.speech(4)
    plain = outputs(network, (mels, masks))[0]
    net = Interpreter(graph)
    (logits,) = (out.name for out in net.outputs if out.shape == (1, 7))
    found = [
        net.run({"features": mel[None], "mask": mask[None]})[logits][0]
        for mel, mask in zip(mels, masks, strict=True)
    ]
    assert np.abs(np.array(found) - plain).max() <= 0.05 * np.abs(plain).max()


def test_the_weights_come_back_out_of_the_folded_graph(network, graph):
    weights = network.get_weights()
    path = graph.parent / resume.FILE
    resume.write(path, RECIPE, weights, graph)
    with np.load(path) as archive:
        # Of three tensors in the graph; twelve weights a block.
        assert not {f"weight{QKV:04d}", f"weight{QKV + 12:04d}"} & set(archive.files)
    manifest = SimpleNamespace(files={resume.FILE: ""})
    found, read = resume.read(SimpleNamespace(path=graph.parent, model=graph, manifest=manifest))
    assert found == RECIPE
    for one, other in zip(weights, read, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=0.01, atol=0.01 * float(np.abs(one).max()))
