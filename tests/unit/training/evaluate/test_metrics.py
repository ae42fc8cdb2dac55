import numpy as np
import pytest

from edge.protocol import LABELS
from training.calibrate import confidence
from training.metrics import classification as metrics
from training.metrics.predictions import softmax


def certain(decided):
    shares = np.full((len(decided), len(LABELS)), 0.01)
    shares[np.arange(len(decided)), decided] = 0.94
    return shares


def test_a_known_table_gives_known_measures():
    truth = np.array([0, 0, 0, 0, 1, 1])
    found = metrics.summary(certain([0, 0, 0, 1, 1, 0]), truth, LABELS)
    assert found["n"] == 6
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["uar"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["per_class"]["neutral"]["precision"] == pytest.approx(3 / 4)
    assert found["macro_f1"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert np.sum(found["confusion"]["counts"]) == 6
    assert found["confusion"]["counts"][0][1] == 1


def test_restricted_accuracy_chooses_among_the_labels_that_occur():
    shares = certain([2, 0])
    shares[0, 0] = 0.05
    found = metrics.summary(shares, np.array([0, 0]), LABELS)
    assert found["accuracy"] == 0.5
    assert found["accuracy_restricted"] == 1.0


def test_calibration_error_is_the_distance_of_confidence_and_truth():
    right = np.array([True] * 6 + [False] * 4)
    assert metrics.expected_calibration_error(np.full(10, 0.6), right) == pytest.approx(0.0)
    assert metrics.expected_calibration_error(np.full(10, 0.99), right) == pytest.approx(0.39)
    assert metrics.expected_calibration_error(np.ones(10), np.ones(10, bool)) == 0.0


def test_the_surest_four_fifths_are_measured():
    shares = certain([0] * 10)
    shares[:2] = 1 / 7
    truth = np.array([1, 1] + [0] * 8)
    assert metrics.summary(shares, truth, LABELS)["accuracy_at_80_coverage"] == 1.0


def test_the_temperature_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(size=(20000, 7)) * 2
    truth = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    assert confidence.temperature(logits * 1.8, truth) == pytest.approx(1.8, rel=0.1)


def test_the_threshold_keeps_the_coverage():
    shares = softmax(np.random.default_rng(1).normal(size=(1000, 7)))
    value = confidence.threshold(shares, coverage=0.85)
    assert (shares.max(axis=1) >= value).mean() == pytest.approx(0.85, abs=0.01)


def test_in_the_threshold_every_speaker_counts_the_same():
    sure, unsure = certain([0] * 90), np.full((10, 7), 1 / 7)
    found = np.concatenate([sure, unsure])
    each = np.concatenate([np.full(90, 1 / 90), np.full(10, 1 / 10)])
    assert confidence.threshold(found, coverage=0.85) == pytest.approx(found[0].max(), abs=1e-3)
    assert confidence.threshold(found, each, coverage=0.85) == pytest.approx(1 / 7, abs=1e-3)
