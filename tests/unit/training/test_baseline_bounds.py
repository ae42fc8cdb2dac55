"""The bounds from which a room's mean counts fit the model: what spreads its answers wide needs higher ones."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is installed with roomtone[training] only")
pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")

from edge.inference.baseline import Baseline
from training.calibrate import baseline_bounds
from training.fit.out_of_fold import OutOfFold


def household(clear: float, offset: float) -> OutOfFold:
    """Ten speakers who say all moods, `clear` above the rest, each moved by an offset of their own."""
    random = np.random.default_rng(0)
    names = [f"corpus/{number:02d}" for number in range(10) for _ in range(70)]
    truth = np.arange(700) % 7
    own = offset * random.standard_normal((10, 7))
    logits = random.standard_normal((700, 7)) + np.repeat(own, 70, axis=0)
    logits[np.arange(700), truth] += clear
    return OutOfFold(logits, truth, np.array(names))


@pytest.fixture(autouse=True)
def short_days(monkeypatch):
    monkeypatch.setattr(baseline_bounds, "DAY", 60)
    monkeypatch.setattr(baseline_bounds, "LOWEST", np.arange(3.0, 6.01, 0.5))


def test_what_is_chosen_loses_little_in_one_mood_and_gains_where_there_are_many():
    found = household(3.0, 1.5)
    bounds = baseline_bounds.choose(found, 1.0)
    baseline = Baseline(found.logits.mean(axis=0), 1.0, emotion_bounds=bounds)
    gain, loss = baseline_bounds.measure(found, baseline, list(baseline_bounds._rooms(found)))
    assert loss <= baseline_bounds.LOSS
    assert gain > 0


def test_a_model_that_spreads_its_answers_gets_higher_bounds():
    assert (
        baseline_bounds.choose(household(1.5, 1.5), 1.0)[0]
        > baseline_bounds.choose(household(5.0, 1.5), 1.0)[0]
    )
