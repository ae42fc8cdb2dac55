import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge.inference import features
from tests.unit.inference.make_golden import reference, signals

GOLDEN = Path(__file__).with_name("log_mel_golden.npz")
NAMES = ("buzz", "noise", "click")
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_log_mel_equals_the_golden_vectors_of_librosa(name):
    with np.load(GOLDEN) as golden:
        found = features.log_mel(features.to_float(golden[f"{name}_samples"]))
        assert found.shape == golden[f"{name}_log_mel"].shape
        assert np.abs(found - golden[f"{name}_log_mel"]).max() <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_log_mel_equals_what_librosa_computes_now(name):
    pytest.importorskip("librosa", reason="librosa is installed with the test group")
    samples = features.to_float(signals()[name])
    assert np.abs(features.log_mel(samples) - reference(samples)).max() <= TOLERANCE


def test_mel_filters_are_those_of_librosa():
    librosa = pytest.importorskip("librosa", reason="librosa is installed with the test group")
    expected = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80).T
    assert np.abs(features.mel_filters() - expected).max() < 1e-7


def test_n_samples_give_n_div_160_frames():
    for size in (480, 639, 640, 16001):
        assert features.log_mel(np.ones(size, np.float32)).shape == (size // 160, 80)


def test_features_do_not_depend_on_the_blocks_that_they_are_computed_in(monkeypatch):
    samples = np.random.default_rng(3).normal(0, 0.1, 48000).astype(np.float32)
    found = features.log_mel(samples)
    monkeypatch.setattr(features, "_BLOCK", 300)
    assert np.abs(features.log_mel(samples) - found).max() <= 1e-6


def test_features_of_a_window_need_little_memory():
    # What does not fit into the cache of a processor is slow, and its pages are given back after each utterance.
    samples = np.random.default_rng(3).normal(0, 0.1, 48000).astype(np.float32)
    features.log_mel(samples)
    tracemalloc.start()
    try:
        features.log_mel(samples)
        features.speech_bounds(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="too few"):
        features.log_mel(np.zeros(479, np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(bad):
    samples = np.zeros(1600, np.float32)
    samples[800] = bad
    with pytest.raises(ValueError, match="NaN"):
        features.to_float(samples)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 100), np.float32), np.zeros(100, np.int32), np.zeros(100, np.uint8)]
)
def test_other_types_and_shapes_are_refused(bad):
    with pytest.raises(ValueError, match="samples must be"):
        features.to_float(bad)


def test_trim_cuts_silence_and_keeps_the_margin():
    samples = np.zeros(32000, np.float32)
    samples[8000:16000] = 0.5
    begin, end = features.speech_bounds(samples)
    margin = features.DEFAULT.trim_margin_ms * 16
    assert abs(begin - (8000 - margin)) <= 400
    assert abs(end - (16000 + margin)) <= 400


@pytest.mark.parametrize("size", [800, 4001, 16079, 16080, 48000])
def test_bounds_are_those_of_the_frames_that_are_loud_enough(size):
    random = np.random.default_rng(size)
    samples = (
        random.normal(0, 0.1, size) * np.repeat(10.0 ** random.uniform(-4, 0, 1 + size // 500), 500)[:size]
    )
    samples = samples.astype(np.float32)
    starts = range(0, size - 399, 160)
    power = np.array([np.square(samples[start : start + 400], dtype=np.float64).mean() for start in starts])
    loud = np.flatnonzero(power > power.max() * 10**-3.5)
    assert features.speech_bounds(samples, margin_ms=0) == (loud[0] * 160, loud[-1] * 160 + 400)


def test_trim_leaves_silence_as_it_is():
    assert features.trim(np.zeros(5000, np.float32)).size == 5000


def test_windows_cover_long_speech_to_its_last_sample():
    for size in (48000, 48001, 72000, 80000, 100001, 480000):
        samples = np.arange(size, dtype=np.float32)
        cut = features.windows(samples)
        assert all(window.size == 48000 for window in cut)
        assert cut[0][0] == 0
        # What is left at the end is at most a quarter of a hop.
        assert size - 1 - cut[-1][-1] < 6000
        assert all(b[0] - a[0] <= 24000 for a, b in itertools.pairwise(cut))


def test_short_speech_is_one_window_and_masked():
    (window,) = features.windows(np.ones(16000, np.float32))
    mel, mask = features.network_input(window)
    assert mel.shape == (1, 300, 80) and mask.shape == (1, 150)
    assert mask.sum() == 50 and (mask[0, :50] == 1).all()
    assert not mel[0, 100:].any()


def test_the_hash_tells_specifications_apart():
    spec = features.FeatureSpec()
    assert spec.sha256() == features.DEFAULT.sha256()
    assert features.FeatureSpec(hop=161).sha256() != spec.sha256()
