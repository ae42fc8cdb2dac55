"""Protocol `ravdess-si` as a whole, on 24 synthetic actors: five trainings, int8 graphs, eight labels."""

import numpy as np
import pytest
import soundfile

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
pytest.importorskip("tensorflow", reason="an export converts with TensorFlow (roomtone[training])")

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from tests.support.training import tiny_corpus, tiny_tuning  # noqa: E402
from training.evaluate.own_training import protocols  # noqa: E402
from training.export import golden  # noqa: E402
from training.networks import pretrained  # noqa: E402


@pytest.mark.long
def test_the_five_folds_are_trained_and_tested_with_all_eight_labels(tmp_path, monkeypatch):
    for actor in range(1, 25):
        for code in range(1, 9):
            name = f"03-01-{code:02d}-01-01-01-{actor:02d}.wav"
            path = tmp_path / "data" / "ravdess" / f"Actor_{actor:02d}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, golden.voice(100 * actor + code, 0.4), 16000)
    monkeypatch.setattr(pretrained, "SHA256", tiny_corpus.encoder(tmp_path / "data"))
    job = protocols.Job(tiny_tuning.ENCODER, tmp_path / "data", tmp_path / "out", quiet=True)
    (found,) = protocols.run("ravdess-si", job)
    assert found["n"] == 192 and list(found["folds"]) == [f"fold-{number}" for number in range(5)]
    assert sum(fold["n"] for fold in found["folds"].values()) == 192
    assert set(found["per_class"]) == set(protocols.RAVDESS_LABELS)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert protocols.run("ravdess-si", job) == [found]
    # A result of an earlier version, which had left out the last label.
    result = tmp_path / "out" / "fold-0" / protocols.RESULT
    with np.load(result) as archive:
        arrays = dict(archive)
    np.savez(result, **(arrays | {"logits": arrays["logits"][:, :7]}))
    assert protocols.run("ravdess-si", job) == [found]
    changed = {path for path in times if path.stat().st_mtime_ns != times[path] and path.is_file()}
    assert changed == {result}
