"""Each speaker is judged by a head that was solved without them, and that is what confidence is calibrated by."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")

from edge.util.errors import UserError
from training.calibrate import confidence
from training.fit import closed_form, out_of_fold
from training.metrics.predictions import Predictions, softmax
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


def judged(pooled: np.ndarray, truth: np.ndarray, names: list[str]) -> out_of_fold.OutOfFold:
    found = out_of_fold.predict(
        pooled, np.tile(truth, 2), np.ones(2 * len(truth)), speakers=names, how=HOW, size=20
    )
    assert found is not None
    return found


def test_the_speakers_of_each_corpus_are_dealt_out_and_none_is_in_two_groups():
    names = [f"{corpus}/{number}" for corpus in ("a", "b") for number in range(10) for _ in range(3)]
    found = out_of_fold.groups(names)
    assert all(len({g for g, n in zip(found, names, strict=True) if n == name}) == 1 for name in names)
    for corpus in ("a", "b"):
        own = [g for g, n in zip(found, names, strict=True) if n.startswith(corpus)]
        assert np.bincount(own).tolist() == [6] * out_of_fold.GROUPS


def test_a_stranger_is_answered_worse_and_everybody_is_judged_once():
    pooled, truth, names = voices()
    found = judged(pooled, truth, names)
    assert sorted(found.speakers.tolist()) == names
    known = closed_form.solve(pooled, np.tile(truth, 2), np.ones(len(pooled)), HOW, 20).logits(pooled)
    right = (known[: len(truth)].argmax(axis=1) == truth).mean()
    strange = (found.logits.argmax(axis=1) == found.truth).mean()
    assert strange < right - 0.1


def test_what_only_one_speaker_says_cannot_be_judged_without_them():
    pooled, truth, names = voices()
    truth = np.where(truth == 6, 5, truth)
    truth[:10] = 6
    found = judged(pooled, truth, names)
    assert names[0] not in found.speakers
    assert 0 < len(found.truth) < len(truth)
    alone = ["corpus/1"] * len(truth)
    assert (
        out_of_fold.predict(pooled, np.tile(truth, 2), np.ones(len(pooled)), speakers=alone, how=HOW, size=20)
        is None
    )


def test_a_model_that_is_too_sure_choose_is_made_less_sure(tmp_path):
    pooled, truth, names = voices()
    found = judged(pooled, truth, names)
    found.write(tmp_path / out_of_fold.FILE)
    again = out_of_fold.read(tmp_path / out_of_fold.FILE)
    easy = Predictions(
        8.0 * np.eye(7)[np.arange(70) % 7], np.zeros((70, 1)), np.arange(70) % 7, ("corpus/easy",) * 70,
        ("corpus",) * 70, ("",) * 70,
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
