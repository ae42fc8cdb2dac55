"""A head without one source of ordinary speech, on a tiny corpus: what the source may not touch, and what is kept."""

import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from edge.util.errors import UserError  # noqa: E402
from tests.support.training import tiny_run  # noqa: E402
from tests.support.training.tiny_corpus import corpora  # noqa: E402
from training.evaluate.household import ordinary  # noqa: E402
from training.evaluate.own_training import left_out as protocol  # noqa: E402
from training.evaluate.own_training import left_out_head  # noqa: E402
from training.fit import checkpoint, out_of_fold  # noqa: E402


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A finished run on two sources of ordinary speech, and its corpora."""
    return tiny_run.fitted(tmp_path_factory.mktemp("left-out"))


@pytest.mark.long
def test_the_head_is_solved_without_a_source_and_written_as_a_run(fitted, tmp_path):
    data, run = fitted
    features = left_out_head.read(left_out_head.finished_run(run), data, quiet=True)
    assert left_out_head.sources(data) == ["orders", "reading"]
    assert features.pooled.shape[0] == tiny_run.RECIPE.probe.rounds * len(features.clips)
    out = tmp_path / "orders"
    left_out_head.solve(features, "orders", out)
    predictions = out_of_fold.read(out / out_of_fold.FILE)
    assert set(predictions.rooms) == {"ravdess", "nemo", "reading"}
    history = json.loads((out / "history.json").read_text())
    assert history["notes"][out_of_fold.LEFT_OUT] == "orders"
    assert history["relative_bias"] != features.run.history["relative_bias"]
    # Only the head is another: the encoder is that of the run.
    before, after = (checkpoint.load_weights(path / "epoch-00.npz") for path in (run, out))
    same = [np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert 0 < same.count(False) < len(same) / 2
    # What is done is known, another run's folder is refused, and so is a run that lacks a source already.
    assert features.run.is_solved("orders", out)
    with pytest.raises(UserError, match="another run"):
        features.run.is_solved("reading", out)
    with pytest.raises(UserError, match="without a source already"):
        left_out_head.finished_run(out)
    with pytest.raises(UserError, match="no ordinary speech of kitchens"):
        left_out_head.solve(features, "kitchens", tmp_path / "kitchens")


@pytest.mark.long
def test_the_head_does_not_depend_on_what_the_left_out_source_says(fitted, tmp_path):
    data, run = fitted
    features = left_out_head.read(left_out_head.finished_run(run), data, quiet=True)
    left_out_head.solve(features, "orders", tmp_path / "one")
    own = np.tile([clip.corpus == "orders" for clip in features.clips], tiny_run.RECIPE.probe.rounds)
    features.pooled[own] += 10.0
    left_out_head.solve(features, "orders", tmp_path / "other")
    assert (tmp_path / "one" / "history.json").read_bytes() == (
        tmp_path / "other" / "history.json"
    ).read_bytes()


@pytest.mark.long
def test_a_run_on_other_recordings_or_without_its_features_is_refused(fitted, tmp_path):
    data, run = fitted
    (tmp_path / "run").mkdir()
    for name in ("history.json", "state.npz", "epoch-00.npz"):
        (tmp_path / "run" / name).symlink_to(run / name)
    with pytest.raises(UserError, match="0 folders of pooled features"):
        left_out_head.read(left_out_head.finished_run(tmp_path / "run"), data, quiet=True)
    # Without the features of one part.
    (found,) = run.glob("pooled-*")
    copy = tmp_path / "run" / found.name
    copy.mkdir()
    for part in sorted(found.iterdir())[1:]:
        (copy / part.name).symlink_to(part)
    with pytest.raises(UserError, match="pooled features cannot be read"):
        left_out_head.read(left_out_head.finished_run(tmp_path / "run"), data, quiet=True)
    other = corpora(tmp_path / "data", speakers=2)
    (other / "ordinary").symlink_to(data / "ordinary")
    with pytest.raises(UserError, match="other recordings"):
        left_out_head.read(left_out_head.finished_run(run), other, quiet=True)


def test_the_share_of_all_utterances_weighs_sources_by_their_size(tmp_path):
    def entry(called: float, count: int) -> dict:
        return {"called": called, "called_from_first": called, "utterances": count}

    found = protocol.summarise({"a": entry(0.1, 300), "b": entry(0.5, 100)}, tmp_path, "tiny")
    assert found["called"] == pytest.approx(0.2) and found["mean_of_sources"] == pytest.approx(0.3)
    assert found["worst"] == {"source": "b", "called": 0.5} and found["orders"] == ordinary.ORDERS
