"""Tuning of an encoder on a tiny corpus: what changes, what stays, and a run that was killed."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

import soundfile  # noqa: E402

from edge.util.errors import UserError  # noqa: E402
from tests.support.training.tiny_corpus import corpora, encoder  # noqa: E402
from training.export import golden  # noqa: E402
from training.fit import checkpoint, inputs, tuning  # noqa: E402
from training.networks import pretrained, transformer  # noqa: E402
from training.recipes import recipe  # noqa: E402

RECIPE = recipe.Recipe(
    name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=8, batch=8,
    probe=recipe.Probe(rounds=2, components=16), relative=recipe.Relative(),
    augment=recipe.Augment(mixup=0.0, households=True),
)  # fmt: skip
HOW = tuning.Tuning(layers=1, steps=4, households=2, utterances=6, rounds=2)


@pytest.fixture
def data(tmp_path, monkeypatch):
    root = corpora(tmp_path / "data", speakers=3)
    monkeypatch.setattr(pretrained, "SHA256", encoder(root))
    for number in range(8):
        path = root / "ordinary" / "reading" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, golden.voice(100 + number, 0.6), 16000)
    return root


def tune(data, out, how=HOW, **more):
    return tuning.run(inputs.Job(RECIPE, data, out, 1, quiet=True, workers=0, **more), how)


@pytest.mark.long
def test_only_the_last_layers_change_and_a_killed_run_ends_as_another(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "SAVE_EVERY", 1)
    whole = checkpoint.load_weights(tune(data, tmp_path / "whole"))
    network = transformer.make(RECIPE)
    network.load_pretrained(pretrained.load(data))
    tuned = {id(variable) for variable in network.blocks[-1].variables}
    changed = {
        id(variable)
        for variable, new in zip(network.weights, whole, strict=True)
        # The head of a new network is random.
        if not transformer.is_head(variable.path) and not np.array_equal(np.asarray(variable), new)
    }
    assert changed and changed <= tuned

    class Killed(Exception):
        pass

    steps = 0

    def stop(*given):
        nonlocal steps
        steps += 1
        if steps == 3:
            raise Killed
        return targets(*given)

    targets = tuning.targets
    monkeypatch.setattr(tuning, "targets", stop)
    with pytest.raises(Killed):
        tune(data, tmp_path / "killed")
    monkeypatch.setattr(tuning, "targets", targets)
    with pytest.raises(UserError, match="another run"):
        tune(
            data, tmp_path / "killed", tuning.Tuning(layers=1, steps=4, households=2, utterances=5, rounds=2)
        )
    again = checkpoint.load_weights(tune(data, tmp_path / "killed"))
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_every_step_has_households_of_one_round_and_the_same_again(data):
    loaded = inputs.read_inputs(
        inputs.Job(RECIPE, data, data, 1, quiet=True, workers=0), tuning.tasks.shipped(data, ordinary=True)
    )
    loaded.loader.close()
    source = loaded.source
    plans = list(tuning.plan(source, HOW, 1))
    assert plans == list(tuning.plan(source, HOW, 1)) and len(plans) == HOW.steps
    for step, (rows, key) in enumerate(plans):
        assert key == [1, 1 + step % HOW.rounds, 3, 0, step]
        homes = source.homes(1, key[1])[rows]
        assert len(np.unique(homes)) <= HOW.households and len(rows) <= HOW.households * HOW.utterances
        label, home, counted = tuning.targets(source, key, np.array(rows), np.random.default_rng(0))
        assert set(home) == set(range(len(np.unique(homes)))) and (label[counted > 0] <= 0).all()


def test_a_recipe_without_a_baseline_cannot_be_tuned(tmp_path):
    plain = recipe.Recipe(name="plain", architecture="whisper", layers=1, epochs=1, draws=1)
    with pytest.raises(UserError, match="relative"):
        tuning.run(inputs.Job(plain, tmp_path, tmp_path / "out", 1), HOW)
    assert not (tmp_path / "out").exists()
