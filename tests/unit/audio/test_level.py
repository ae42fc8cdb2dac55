"""Levels and the noise floor, for any sound: what is computed is what the definitions say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.audio.level import MEMORY_BLOCKS, SILENCE_DBFS, NoiseFloor, clipped, dbfs, power

BLOCK = 512
POWERS = st.floats(1e-9, 1.0)


def noise(mean_square: float, samples: int = 16_000, seed: int = 0) -> np.ndarray:
    """White noise, int16, of this mean square (full scale = 1)."""
    values = np.random.default_rng(seed).normal(0, 1, samples)
    values *= math.sqrt(mean_square / np.mean(values**2)) * 32768
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


@given(st.floats(0, 1))
def test_the_level_of_a_power_is_its_definition_and_never_below_silence(mean_square: float) -> None:
    level = dbfs(mean_square)
    assert SILENCE_DBFS <= level <= 0
    if mean_square > 1e-10:
        assert 10 ** (level / 10) == pytest.approx(mean_square, rel=1e-9)


@given(st.lists(st.integers(-32768, 32767), max_size=300))
def test_power_and_clipping_are_shares_of_full_scale(values: list[int]) -> None:
    samples = np.array(values, np.int16)
    assert 0 <= power(samples) <= 1
    assert power(samples) == pytest.approx(
        float(np.mean(np.square(samples.astype(np.float64)))) / 32768**2 if values else 0.0, rel=1e-4
    )
    assert clipped(samples) == (sum(abs(v) >= 32767 for v in values) / len(values) if values else 0.0)


@given(st.floats(1e-7, 1e-4), st.floats(3.0, 30.0))
def test_the_ratio_is_that_of_speech_and_noise_that_were_added(floor: float, ratio_db: float) -> None:
    """Noise of a known power, speech of a known power above it: found within a tenth of a dB."""
    noises = NoiseFloor()
    for _ in range(20):
        noises.add(floor)
    speech = noise(floor * (1 + 10 ** (ratio_db / 10)))
    assert noises.snr_db(speech, BLOCK) == pytest.approx(ratio_db, abs=0.1 + 2e-10 / floor)


@given(POWERS, st.lists(st.floats(1e-9, 1.0), min_size=0, max_size=MEMORY_BLOCKS // 2 - 1))
def test_fewer_than_half_of_the_blocks_cannot_move_the_floor(floor: float, others: list[float]) -> None:
    """A door that slams: whatever its power is, and wherever it stands among the blocks."""
    steady, disturbed = NoiseFloor(), NoiseFloor()
    for number in range(MEMORY_BLOCKS):
        steady.add(floor)
        disturbed.add(others[number] if number < len(others) else floor)
    speech = noise(0.01)
    assert disturbed.snr_db(speech, BLOCK) == steady.snr_db(speech, BLOCK)


@given(POWERS, POWERS)
def test_the_floor_is_of_the_last_three_seconds_only(old: float, new: float) -> None:
    changed, fresh = NoiseFloor(), NoiseFloor()
    for _ in range(200):
        changed.add(old)
    for _ in range(MEMORY_BLOCKS):
        changed.add(new)
        fresh.add(new)
    speech = noise(0.01)
    assert changed.snr_db(speech, BLOCK) == fresh.snr_db(speech, BLOCK)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-8, 0.1))
def test_a_louder_room_never_raises_the_ratio(one: float, two: float, loud: float) -> None:
    quiet, noisy = sorted((one, two))
    speech = noise(loud, 4000)
    ratios = []
    for floor in (quiet, noisy):
        noises = NoiseFloor()
        noises.add(floor)
        ratios.append(noises.snr_db(speech, BLOCK))
    assert -160 <= ratios[1] <= ratios[0] + 1e-9 <= 160 + 1e-6


def test_without_anything_before_it_the_quietest_tenth_of_the_speech_stands_for_the_room() -> None:
    speech = np.concatenate([noise(1e-6, BLOCK * 10), noise(1e-2, BLOCK * 40, seed=1)])
    assert NoiseFloor().snr_db(speech, BLOCK) == pytest.approx(39.0, abs=1.5)
    assert NoiseFloor().snr_db(np.zeros(0, np.int16), BLOCK) == 0.0
