import numpy as np
import pytest

from edge.util.errors import UserError
from training.networks import head

RANDOM = np.random.default_rng(5)
SIZE = 16
KERNEL = RANDOM.normal(size=(SIZE, 7)).astype(np.float32)
BIAS = RANDOM.normal(size=7).astype(np.float32)
OTHERS = [np.zeros((30, SIZE), np.float32), np.zeros(SIZE, np.float32), np.zeros((5, 7), np.float32)]


@pytest.fixture
def golden(tmp_path):
    embedding = RANDOM.normal(size=(2, SIZE)).astype(np.float32)
    np.savez(tmp_path / "golden.npz", embedding=embedding, logits=embedding @ KERNEL + BIAS)
    return tmp_path / "golden.npz"


def test_the_output_layer_is_found_among_the_weights(tmp_path, golden):
    head.write(tmp_path / "head.npz", [*OTHERS, KERNEL, BIAS, *OTHERS], golden, SIZE)
    with np.load(tmp_path / "head.npz") as found:
        assert (found["kernel"] == KERNEL).all()
        assert (found["bias"] == BIAS).all()


def test_another_layer_than_that_of_the_graph_is_refused(tmp_path, golden):
    with pytest.raises(UserError, match="not that of the graph"):
        head.write(tmp_path / "head.npz", [*OTHERS, KERNEL[::-1], BIAS], golden, SIZE)
    with pytest.raises(UserError, match="no layer"):
        head.write(tmp_path / "head.npz", [*OTHERS, KERNEL], golden, SIZE)
    assert not (tmp_path / "head.npz").exists()


def test_outputs_that_int8_cuts_off_are_not_another_layer(tmp_path, golden):
    with np.load(golden) as found:
        embedding, logits = found["embedding"], found["logits"]
    logits = np.clip(logits, None, np.sort(logits.ravel())[-4])
    assert np.linalg.norm(embedding @ KERNEL + BIAS - logits) > 0.15 * np.linalg.norm(logits)
    np.savez(golden, embedding=embedding, logits=logits)
    head.write(tmp_path / "head.npz", [*OTHERS, KERNEL, BIAS], golden, SIZE)


def test_a_layer_that_is_off_by_a_fifth_is_refused(tmp_path, golden):
    with pytest.raises(UserError, match="not that of the graph"):
        head.write(tmp_path / "head.npz", [*OTHERS, 1.2 * KERNEL, BIAS], golden, SIZE)
