"""An encoder with fewer units: which are removed, and what the others take over."""

import importlib.util

import msgspec
import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from keras import ops  # noqa: E402

from edge.util.errors import UserError  # noqa: E402
from training.networks import narrower, transformer  # noqa: E402
from training.recipes import recipe  # noqa: E402

WIDE = recipe.Recipe(name="tiny", architecture="whisper", layers=2, embedding=16, epochs=0, draws=8)
NARROW = msgspec.structs.replace(WIDE, feed_forward=1024)


def moments(said):
    said = np.concatenate([said, np.ones((len(said), 1))], axis=1)
    return said.T @ said


def test_units_that_others_can_make_up_for_are_removed_and_the_output_stays():
    random = np.random.default_rng(0)
    own = random.normal(size=(500, 6))
    # Two repeat others, one never says anything but the same.
    said = np.concatenate([own, own[:, :1], own[:, :2] @ [[1.0], [2.0]], np.full((500, 1), 3.0)], axis=1)
    down = random.normal(size=(10, 4))
    kept, rest, error = narrower.remaining(moments(said), down, 6)
    assert len(kept) == 6 and 8 not in kept and error < 1e-3
    wanted = said @ down[:-1] + down[-1]
    np.testing.assert_allclose(said[:, kept] @ rest[:-1] + rest[-1], wanted, atol=0.02)
    assert narrower.remaining(moments(said), down, 5)[2] > 10 * error


def test_a_unit_that_is_hardly_heard_goes_before_one_that_is_loud():
    said = np.random.default_rng(1).normal(size=(500, 3)) * [1.0, 0.1, 1.0]
    assert list(narrower.remaining(moments(said), np.ones((4, 2)), 2)[0]) == [0, 2]


def test_a_narrower_network_gives_nearly_the_same_tokens_and_has_the_same_other_weights():
    wide = transformer.make(WIDE)
    random = np.random.default_rng(2)
    # Half of the units of each block say what the other half says.
    for block in wide.blocks:
        kernel, bias = (ops.convert_to_numpy(part) for part in block.up.weights)
        block.up.set_weights([np.tile(kernel[:, :1024], (1, 2)), np.tile(bias[:1024], 2)])
    mask = np.ones((6, 50), np.float32)
    mask[1, 20:] = 0
    served = [(random.normal(size=(6, 100, 80)).astype(np.float32), mask) for _ in range(8)]
    made = transformer.make(NARROW)
    made.set_weights(narrower.narrow(wide, NARROW, served))
    batch = [ops.convert_to_tensor(part) for part in served[0]]
    one, other = (ops.convert_to_numpy(net.pool(batch)) for net in (wide, made))
    assert np.abs(one - other).mean() < 0.02 * np.abs(one).mean()
    for a, b in zip(wide.weights, made.weights, strict=True):
        if a.shape == b.shape and "down" not in a.path:
            np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


@pytest.mark.parametrize("units", [0, 2049])
def test_a_recipe_asks_for_a_possible_number_of_units(tmp_path, units):
    path = tmp_path / "own.toml"
    path.write_text(
        f'name = "own"\narchitecture = "whisper"\nepochs = 0\ndraws = 8\nfeed_forward = {units}\n'
    )
    with pytest.raises(UserError, match=f"not {units}"):
        recipe.load(str(path))


def test_units_belong_to_what_a_recipe_is_and_all_of_them_to_none():
    assert NARROW.sha256() != WIDE.sha256() == NARROW.wide.sha256()
