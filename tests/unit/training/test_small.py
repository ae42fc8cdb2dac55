"""The full-int8 student: its interface, its padding, its graph; converted once from made-up weights."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

if not all(importlib.util.find_spec(name) for name in ("keras", "tensorflow", "ai_edge_litert")):
    pytest.skip("keras, tensorflow and LiteRT are installed with roomtone[training]", allow_module_level=True)

from edge.inference import bundle as bundles
from edge.inference import features
from edge.inference.classifier import Classifier
from edge.inference.interpreter import Interpreter
from edge.protocol import LABELS
from edge.util.errors import UserError
from edge.util.version import VERSION
from tests.support.training import tiny_student
from training.export import bundle as export
from training.export import golden, operators
from training.fit import resume
from training.fit.checkpoint import load_weights
from training.networks import small
from training.recipes.recipe import load


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tiny_student.make(tmp_path_factory.mktemp("small"))


def named(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and embedding."""
    return (
        next(v for v in found.values() if v.shape == (1, len(LABELS))),
        next(v for v in found.values() if v.shape == (1, 16)),
    )


def run(net: Interpreter, mel: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return named(net.run({"features": mel[None], "mask": mask[None]}))


@pytest.mark.parametrize("steps", [150, 75])
def test_a_layer_on_the_mask_counts(steps):
    kernel, bias = small.count_weights(steps)
    counts = np.arange(steps + 1)
    found = np.array([kernel[:count].sum() + bias for count in counts])
    wanted = steps / np.maximum(counts, small.FEWEST)
    # Half a step of int8 weights.
    assert np.abs(found - wanted).max() <= np.abs(np.diff(wanted)).max() / 254 + 1e-5
    levels = kernel / np.abs(kernel).max() * 127
    assert np.abs(levels - np.round(levels)).max() < 1e-3


def test_the_graph_is_int8_throughout_and_old_enough(place):
    operators.check_full_int8(place / "model.tflite")
    found = operators.versions(place / "model.tflite")
    assert found["CONV_2D"] <= 5
    assert "FULLY_CONNECTED" not in found, "the two runtimes round dense layers differently"
    assert operators.tensors(place / "model.tflite").computed["FLOAT32"] == 2


def test_a_graph_that_is_not_int8_is_refused(place):
    with pytest.raises(UserError, match="not int8 throughout"):
        operators.check_full_int8(place / "float.tflite")


def test_an_operator_that_is_too_new_is_refused(place, monkeypatch):
    monkeypatch.setattr(operators, "OLDEST", operators.OLDEST | {"CONV_2D": 1})
    with pytest.raises(UserError, match="CONV_2D version"):
        operators.check_full_int8(place / "model.tflite")


def test_the_graph_has_the_interface_of_every_bundle(place):
    net = Interpreter(place / "model.tflite")
    spec = features.DEFAULT
    assert {(t.name, t.shape, t.dtype) for t in net.inputs} == {
        ("features", (1, spec.window_frames, spec.mels), "float32"),
        ("mask", (1, spec.tokens), "float32"),
    }
    assert sorted((t.shape, t.dtype) for t in net.outputs) == [((1, 7), "float32"), ((1, 16), "float32")]


def test_int8_says_nearly_what_float_says(place):
    whole, rounded = Interpreter(place / "float.tflite"), Interpreter(place / "model.tflite")
    pairs = [
        (run(whole, mel, mask)[0][0], run(rounded, mel, mask)[0][0])
        for mel, mask in zip(*tiny_student.speech(12, 3.0), strict=True)
    ]
    one, other = (np.array(part) for part in zip(*pairs, strict=True))
    spread = float(np.std(one, axis=0).mean())
    assert spread > 0.01, "the network says the same to everything: nothing is compared"
    assert float(np.abs(one - other).mean()) < 0.25 * max(spread, 0.05 * np.abs(one).max())


def test_what_lies_beyond_the_mask_is_not_heard(place):
    net = Interpreter(place / "model.tflite")
    mel, mask = (part[3] for part in tiny_student.speech(8))
    loud = mel.copy()
    loud[2 * int(mask.sum()) :] = 1.2
    assert not np.array_equal(mel, loud)
    for one, other in zip(run(net, mel, mask), run(net, loud, mask), strict=True):
        assert np.array_equal(one, other)


def test_the_mask_is_heard(place):
    net = Interpreter(place / "model.tflite")
    mel, mask = (part[7] for part in tiny_student.speech(8))
    half = mask.copy()
    half[int(mask.sum()) // 2 :] = 0.0
    assert not np.array_equal(run(net, mel, mask)[1], run(net, mel, half)[1])


def test_padding_of_a_batch_changes_nothing(place):
    from training.networks import backend

    backend.choose("torch", "tensorflow", "jax")
    import keras

    from training.networks import transformer

    net = transformer.make(load(str(place / "tiny.toml")))
    net.set_weights(load_weights(place / "epoch-03.npz"))
    mel, mask = (part[2] for part in tiny_student.speech(8))
    size = 2 * int(mask.sum())
    whole = net((mel[None], mask[None]))
    for frames in (size, size + 6, size + 40):
        part = net((mel[None, :frames], mask[None, : frames // 2]))
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), atol=1e-5
            )


def test_parts_of_the_front_say_what_the_whole_says(place):
    from training.networks import backend

    backend.choose("torch", "tensorflow", "jax")
    import keras

    from training.networks import transformer

    net = transformer.make(load(str(place / "tiny.toml")))
    net.set_weights(load_weights(place / "epoch-03.npz"))
    inputs = tiny_student.speech(8)
    whole = [keras.ops.convert_to_numpy(part) for part in net(inputs)]
    net.split_for_int8(inputs)
    assert len(net.split_front) == small.PARTS
    for one, part in zip(whole, net(inputs), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(part), one, atol=0.02 * np.abs(one).max())


@pytest.fixture(scope="module")
def bundle(place) -> bundles.Bundle:
    """A bundle around the graph; its numbers are made up, its golden outputs are not."""
    folder = place / "small-0.1.0"
    folder.mkdir()
    model = folder / bundles.MODEL
    model.write_bytes((place / "model.tflite").read_bytes())
    net = Interpreter(model)
    logits = next(t.name for t in net.outputs if t.shape == (1, 7))
    embedding = next(t.name for t in net.outputs if t.shape == (1, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden, "MARGIN", 0.0)  # it was never trained, so nothing is decided clearly
        golden.write(model, folder / bundles.GOLDEN, logits, embedding)
    resume.write(
        folder / resume.FILE, load(str(place / "tiny.toml")), load_weights(place / "epoch-03.npz"), model
    )
    (folder / bundles.CARD).write_text("a test\n")
    manifest = bundles.Manifest(
        name="small", version="0.1.0", labels=LABELS, sample_rate=16000, features=features.DEFAULT,
        features_sha256=features.DEFAULT.sha256(), inputs=export._specs(net.inputs),
        outputs=export._specs(net.outputs), logits=logits, embedding=embedding, kernels="full-int8",
        temperature=1.0, abstain_below=0.0, min_ms=400, embedding_size=16, metrics={}, corpora=(),
        licence="", min_daemon=VERSION, created="", files={},
    )  # fmt: skip
    return export._write(folder, manifest)


def test_reference_kernels_give_the_golden_bits_and_others_nearly(bundle):
    Classifier(bundle, reference=True).self_test()
    Classifier(bundle).self_test()


def test_one_bit_off_is_noticed_by_the_reference_kernels(bundle, monkeypatch):
    kept = bundle.golden()
    moved = kept | {"reference_embedding": kept["reference_embedding"] + np.float32(1e-6)}
    monkeypatch.setattr(bundles.Bundle, "golden", lambda self: moved)
    with pytest.raises(bundles.BundleError, match="other bits"):
        Classifier(bundle, reference=True).self_test()


def test_golden_outputs_without_the_bits_are_refused(bundle, monkeypatch):
    kept = {name: value for name, value in bundle.golden().items() if not name.startswith("reference")}
    monkeypatch.setattr(bundles.Bundle, "golden", lambda self: kept)
    with pytest.raises(bundles.BundleError, match="needs reference_logits"):
        Classifier(bundle, reference=True).self_test()


def test_a_bundle_gives_its_weights_back_to_go_on_training(bundle, place):
    recipe, weights = resume.read(bundle)
    assert recipe.architecture == "student" and recipe.student is not None and recipe.student.width == 16
    for one, other in zip(weights, load_weights(place / "epoch-03.npz"), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02 * float(np.abs(other).max()))
