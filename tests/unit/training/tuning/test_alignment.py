"""Tokens of a household beside those of the same moments of dry speech."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("keras", reason="keras is installed with roomtone[training] only")
if not any(importlib.util.find_spec(name) for name in ("torch", "tensorflow", "jax")):
    pytest.skip("no backend of keras is installed (roomtone[training])", allow_module_level=True)

from training.networks import backend

backend.choose("torch", "tensorflow", "jax")

from keras import ops  # noqa: E402

from edge.inference import features  # noqa: E402
from training.augment import household  # noqa: E402
from training.export import golden  # noqa: E402
from training.fit.tuning import alignment  # noqa: E402


def error(shift, mask, dry_mask, tokens, dry):
    pairs = alignment.places(
        np.array(shift, np.int32), ops.convert_to_tensor(mask), ops.convert_to_tensor(dry_mask)
    )
    scales = np.full((1, 3), 2.0, np.float32)
    found = alignment.error([ops.convert_to_tensor(tokens)], [ops.convert_to_tensor(dry)], scales, pairs)
    return float(ops.convert_to_numpy(found)), ops.convert_to_numpy(pairs)


def test_tokens_of_the_same_moment_are_compared_and_only_valid_ones():
    random = np.random.default_rng(0)
    tokens = random.standard_normal((2, 8, 3)).astype(np.float32)
    # The first begins two tokens later when it is dry, the second one token earlier.
    dry = np.full((2, 6, 3), 50.0, np.float32)
    dry[0, :4], dry[1, 1:6] = tokens[0, 2:6], tokens[1, :5]
    mask, dry_mask = np.ones((2, 8), np.float32), np.ones((2, 6), np.float32)
    mask[1, 5:], dry_mask[0, 4:] = 0.0, 0.0
    found, pairs = error([2, -1], mask, dry_mask, tokens, dry)
    assert found == pytest.approx(0.0, abs=1e-6) and pairs.sum() == 4 + 5
    for wrong in ([1, -1], [2, 0], [-2, 1]):
        assert error(wrong, mask, dry_mask, tokens, dry)[0] > 1.0


def test_the_error_is_the_mean_square_in_units_of_the_deviation():
    ones = np.ones((1, 4), np.float32)
    tokens = np.zeros((1, 4, 3), np.float32)
    assert error([0], ones, ones, tokens, tokens + 1.5)[0] == pytest.approx(9.0)
    assert error([9], ones, ones, tokens, tokens + 1.5)[0] == 0.0


def heard(seed):
    """Speech in noise that is loud enough to be kept before and after it; and dry."""
    recording = np.concatenate([np.zeros(4800, np.int16), golden.voice(seed, 1.5), np.zeros(4800, np.int16)])
    noise = np.random.default_rng(seed).normal(0, 0.02, 80000).astype(np.float32)
    how = household.Condition(None, np.zeros(6), 0.0, 0, -18.0, None)
    return household.apply(
        recording, how, household.Voice(1.0, 1.0), typical_power=0.01, acoustics=household.Acoustics([], [noise]),
        random=np.random.default_rng(seed), dry=True,
    )  # fmt: skip


def test_a_frame_of_dry_speech_is_that_of_the_household_at_its_shift():
    shifts, best = [], []
    for seed in range(12):
        mel, dry = heard(seed)
        assert dry is not None
        shifts.append(dry.shift)
        found = []
        for off in range(-3, 4):
            places = np.arange(len(dry.mel)) + 2 * dry.shift + off
            inside = (places >= 0) & (places < len(mel))
            loud = dry.mel[inside] > dry.mel.max() - 0.5
            found.append(np.abs(mel[places[inside]] - dry.mel[inside])[loud].mean())
        best.append(int(np.argmin(found)) - 3)
    assert min(shifts) >= 0 and len(set(shifts)) > 3, "the noise before the speech is kept"
    # A frame is 10 ms: where dry speech were not cut at a whole token, every second one would be off by one.
    assert best == [0] * len(best)


def test_dry_speech_begins_within_half_a_token_of_where_it_is_heard_and_never_before_the_recording():
    speech = np.pad(features.to_float(golden.voice(3, 1.0)), (4000, 4000))
    first, end = features.speech_bounds(speech)
    for begin in (0, 7, 333, first - 500, first, first + 37, first + 1000):
        dry = household._in_step(speech, begin, household.Voice(1.0, 1.0))
        cut = begin + dry.shift * household.TOKEN
        assert cut >= 0 and abs(cut - first) <= household.TOKEN // 2
        np.testing.assert_array_equal(dry.mel, features.log_mel(speech[cut:end]))
    early = household._in_step(speech[first:], 30, household.Voice(1.0, 1.0))
    assert early.shift == 0
