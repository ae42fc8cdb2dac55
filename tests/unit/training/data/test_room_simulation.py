"""Simulated rooms: what comes first, how they die away, and that the same seed gives the same room."""

import numpy as np
import pytest

pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is installed with roomtone[training]")

from training.augment import room_simulation


@pytest.fixture(scope="module")
def bank():
    return room_simulation.bank(12, seed=4, quiet=True)


def test_the_direct_sound_comes_first_and_is_the_loudest(bank):
    for response in bank:
        assert int(np.abs(response).argmax()) == 0
        assert abs(response[0]) == pytest.approx(1.0)
        assert np.isfinite(response).all()


def test_rooms_differ_and_the_same_seed_gives_the_same_rooms(bank):
    again = room_simulation.bank(2, seed=4, quiet=True)
    for one, other in zip(bank, again, strict=False):
        np.testing.assert_array_equal(one, other)
    assert len({response.size for response in bank}) > 6
    shares = [float(np.sum(r[:40] ** 2) / np.sum(r**2)) for r in bank]
    assert min(shares) < 0.3 and max(shares) > 0.6, "from far away to close by"


def test_the_tail_decays_as_fast_as_was_asked_for():
    random = np.random.default_rng(0)
    early = random.standard_normal(3200) * 10.0 ** (-3.0 * np.arange(3200) / 16000 / 1.0)
    early[0] = 10.0
    response = room_simulation.with_tail(early, 1.0, random).astype(np.float64)
    low = np.convolve(response, np.ones(32) / 32, "same")  # below 500 Hz
    energy = [float(np.sum(low[start : start + 1600] ** 2)) for start in (2400, 11200)]
    assert 10 * np.log10(energy[0] / energy[1]) == pytest.approx(60 * 8800 / 16000, abs=4)


def test_no_rooms_are_no_work():
    assert room_simulation.bank(0, seed=1) == []
