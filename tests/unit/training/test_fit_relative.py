"""A whole fit of a relative head on a tiny corpus: households, out-of-fold predictions, recordings that were added."""

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

from tests.support.training.tiny_corpus import corpora, encoder  # noqa: E402
from training.calibrate import added, relative_head  # noqa: E402
from training.data import task as tasks  # noqa: E402
from training.data.corpora import folder  # noqa: E402
from training.export import golden  # noqa: E402
from training.fit import inputs, out_of_fold, retrain, trainer  # noqa: E402
from training.networks import pretrained  # noqa: E402
from training.recipes import recipe  # noqa: E402

RECIPE = recipe.Recipe(
    name="tiny", architecture="whisper", layers=1, freeze=1, embedding=16, epochs=0, draws=8, batch=8,
    probe=recipe.Probe(rounds=2, components=16), relative=recipe.Relative(),
    augment=recipe.Augment(mixup=0.0, households=True),
)  # fmt: skip


@pytest.mark.long
def test_a_relative_head_is_fitted_and_says_what_added_recordings_change(tmp_path, monkeypatch):
    data = corpora(tmp_path / "data", speakers=3)
    monkeypatch.setattr(pretrained, "SHA256", encoder(data))
    monkeypatch.setattr(relative_head, "LENGTH", 100)
    monkeypatch.setattr(relative_head, "FEWEST", 3)
    own = tmp_path / "own"
    for number in range(15):
        for path in (data / "ordinary" / "reading" / f"{number}.wav", own / "ordinary" / f"{number}.wav"):
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, golden.voice(100 + number, 0.6), 16000)
    shipped = tasks.shipped(data, ordinary=True)
    assert shipped.ordinary
    task = tasks.Task(
        shipped.fitting, shipped.validation,
        ordinary=(*shipped.ordinary, *retrain.recordings([own], ordinary=True)),
    )  # fmt: skip

    def fit(out: str, chosen: tasks.Task) -> dict:
        job = inputs.Job(RECIPE, data, tmp_path / out, 1, quiet=True, workers=0, task=chosen)
        return trainer.run(job)

    found = fit("run", task)
    assert len(found["relative_bias"]) == len(found["relative_bias_before"]) == 8
    after, before = (
        out_of_fold.read(tmp_path / "run" / name) for name in (out_of_fold.FILE, out_of_fold.BEFORE_FILE)
    )
    assert after is not None and before is not None
    clips = len(task.fitting) + len(task.ordinary)
    assert after.logits.shape == before.logits.shape == (clips, 8)
    assert set(after.rooms) == {"ravdess", "nemo", "reading", folder.CORPUS}
    terms = added.measure(tmp_path / "run", found)
    assert terms is not None and set(terms["after"]) == set(terms["before"]) >= {"reading", folder.CORPUS}
    # A finished run is not fitted again, and one without additions has nothing to say.
    assert fit("run", task) == found
    plain = fit("plain", shipped)
    assert plain["relative_bias_before"] is None and added.measure(tmp_path / "plain", plain) is None
    with (
        np.load(tmp_path / "run" / "epoch-00.npz") as one,
        np.load(tmp_path / "plain" / "epoch-00.npz") as other,
    ):
        assert any(not np.array_equal(one[name], other[name]) for name in one.files)
