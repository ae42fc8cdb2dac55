"""What of the converter can be tested without TensorFlow; the conversion checks itself against the original."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge.audio.vad import SILERO
from training.vad import build
from training.vad.build import ONNX_NAME, BuildError
from training.vad.network import WeightsError, read_weights, strided_as_matrix


def test_a_strided_convolution_is_the_matrix_it_is_built_as() -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((5, 3, 3)).astype(np.float32)
    frames = rng.standard_normal((4, 3)).astype(np.float32)
    padded = np.pad(frames, ((1, 1), (0, 0)))
    expected = [sum(weight[:, :, tap] @ padded[2 * t + tap] for tap in range(3)) for t in range(2)]
    np.testing.assert_allclose(
        frames.reshape(-1) @ strided_as_matrix(weight), np.concatenate(expected), rtol=1e-5
    )


def test_another_onnx_file_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "silero_vad-9.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(ONNX_NAME, b"something else")
        archive.writestr("silero_vad-9.dist-info/licenses/LICENSE", b"MIT")
    with pytest.raises(BuildError, match=r"use silero-vad 6\.2"):
        build.find_source(wheel)


def test_a_wheel_without_the_file_or_without_its_licence_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(ONNX_NAME, b"no licence beside it")
    for place in (wheel, tmp_path):
        with pytest.raises(BuildError, match="give the wheel with --from"):
            build.find_source(place)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph(
        [],
        "g",
        [],
        [],
        [onnx.numpy_helper.from_array(np.zeros((4, 1), np.float32), "model.stft.forward_basis_buffer")],
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "x.onnx")
    with pytest.raises(WeightsError, match=r"differing: decoder\.decoder\.2\.bias"):
        read_weights(tmp_path / "x.onnx")


def test_the_licence_of_the_weights_is_beside_them() -> None:
    assert "MIT License" in SILERO.with_suffix(".LICENSE").read_text()
    assert "Silero Team" in SILERO.with_suffix(".LICENSE").read_text()
