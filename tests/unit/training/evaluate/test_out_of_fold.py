"""Every speaker is predicted by a head that was fitted without them, and confidence is calibrated by that."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")

from edge.util.errors import UserError
from training.calibrate import confidence
from training.fit import closed_form, out_of_fold, relative
from training.metrics.predictions import Predictions, softmax
from training.networks.head import Solved
from training.recipes.recipe import Probe

HOW = Probe(rounds=2, penalty=0.001)


def voices(count: int = 12, each: int = 35, shift: float = 4.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two rounds of speakers, each of whom moves all that they say by a constant of their own."""
    random = np.random.default_rng(0)
    truth = np.arange(count * each) % 7
    places = 2.0 * random.standard_normal((7, 20))
    names = [f"corpus/{number:02d}" for number in range(count) for _ in range(each)]
    own = np.repeat(shift * random.standard_normal((count, 20)), each, axis=0)
    clean = places[truth] + own + random.standard_normal((count * each, 20))
    varied = clean + 0.1 * random.standard_normal(clean.shape)
    return np.concatenate([clean, varied]).astype(np.float32), truth, names


def utterances(pooled: np.ndarray, truth: np.ndarray, names: list[str]) -> relative.Utterances:
    homes = np.repeat([-1, 0], len(truth))
    corpora = [name.split("/")[0] for name in names]
    return relative.Utterances(
        pooled, np.tile(truth, 2), np.tile(corpora, 2), np.tile(names, 2), homes.astype(np.int64)
    )


def predicted(pooled: np.ndarray, truth: np.ndarray, names: list[str]) -> out_of_fold.OutOfFold | None:
    def fit(some: relative.Utterances, places: np.ndarray) -> Solved:
        return closed_form.solve(some.pooled, some.label, np.ones(len(some.label)), HOW, 20)

    return out_of_fold.predict(utterances(pooled, truth, names), len(truth), fit)


def test_the_speakers_of_each_corpus_are_spread_over_the_folds_and_none_is_in_two():
    names = [f"{corpus}/{number}" for corpus in ("a", "b") for number in range(10) for _ in range(3)]
    corpora = [name.split("/")[0] for name in names]
    found = list(out_of_fold.folds(names, corpora))
    assert len(found) == out_of_fold.FOLDS
    assert (np.sum(found, axis=0) == 1).all()
    for tested in found:
        held = {name for name, out in zip(names, tested, strict=True) if out}
        assert not held & {name for name, out in zip(names, tested, strict=True) if not out}
        assert {name.split("/")[0] for name in held} == {"a", "b"}


def test_an_unseen_speaker_is_answered_worse_and_every_speaker_is_predicted_once():
    pooled, truth, names = voices()
    found = predicted(pooled, truth, names)
    assert found is not None
    assert sorted(found.speakers.tolist()) == names
    known = closed_form.solve(pooled, np.tile(truth, 2), np.ones(len(pooled)), HOW, 20).logits(pooled)
    right = (known[: len(truth)].argmax(axis=1) == truth).mean()
    unseen = (found.logits.argmax(axis=1) == found.truth).mean()
    assert unseen < right - 0.1


def test_a_label_of_one_speaker_cannot_be_predicted_without_them():
    pooled, truth, names = voices()
    truth = np.where(truth == 6, 5, truth)
    truth[:10] = 6
    found = predicted(pooled, truth, names)
    assert found is not None
    assert names[0] not in found.speakers
    assert 0 < len(found.truth) < len(truth)
    assert predicted(pooled, truth, ["corpus/1"] * len(truth)) is None


def test_a_model_that_is_too_confident_on_unseen_speakers_gets_a_higher_temperature(tmp_path):
    pooled, truth, names = voices()
    found = predicted(pooled, truth, names)
    assert found is not None
    found.write(tmp_path / out_of_fold.FILE)
    again = out_of_fold.read(tmp_path / out_of_fold.FILE)
    assert again is not None
    easy = Predictions(
        8.0 * np.eye(7)[np.arange(70) % 7], np.zeros((70, 1)), np.arange(70) % 7, ("corpus/easy",) * 70,
        ("corpus",) * 70, ("",) * 70, np.ones(70, np.bool_),
    )  # fmt: skip
    alone, _ = confidence.choose(easy, None)
    together, threshold = confidence.choose(easy, again)
    assert together > alone
    shares = softmax(again.logits / together).max(axis=1)
    assert (shares >= threshold).mean() == pytest.approx(confidence.COVERAGE, abs=0.05)


def test_a_damaged_file_is_said_and_none_is_none(tmp_path):
    assert out_of_fold.read(tmp_path / out_of_fold.FILE) is None
    (tmp_path / out_of_fold.FILE).write_bytes(b"no archive")
    with pytest.raises(UserError, match="fit the head again"):
        out_of_fold.read(tmp_path / out_of_fold.FILE)
