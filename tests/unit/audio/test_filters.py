"""The constant offset goes, the sound stays, and blocks join without a seam."""

import numpy as np
import pytest

from edge.audio.filters import LONGEST, DcBlocker

RATE = 16_000


def blocks(samples: np.ndarray, size: int = 512) -> np.ndarray:
    blocker = DcBlocker()
    return np.concatenate([blocker.process(samples[at : at + size]) for at in range(0, samples.size, size)])


def tone(hz: float, level: float = 8000.0) -> np.ndarray:
    return np.rint(level * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)).astype(np.int16)


@pytest.mark.parametrize("offset", [-8192, -1, 0, 6554, 20_000])
def test_an_offset_is_removed(offset: int) -> None:
    found = blocks((tone(300) + offset).astype(np.int16))
    assert abs(float(found[RATE:].mean())) < 2
    assert found[RATE:].astype(float).std() == pytest.approx(tone(300).astype(float).std(), rel=0.002)


@pytest.mark.parametrize("hz", [100, 1000, 7000])
def test_sound_passes_unchanged(hz: float) -> None:
    found = blocks(tone(hz)).astype(float)
    assert found[RATE:].std() == pytest.approx(tone(hz).astype(float).std(), rel=0.003)


@pytest.mark.parametrize("size", [1, 160, 512, 3000, 3 * LONGEST])
def test_the_size_of_the_blocks_does_not_matter(size: int) -> None:
    samples = (np.random.default_rng(1).normal(0, 3000, 2 * RATE) + 5000).astype(np.int16)
    reference = DcBlocker()
    reference.process(samples[:512])
    blocker = DcBlocker()
    blocker.process(samples[:512])
    whole = reference.process(samples[512:])
    parts = [blocker.process(samples[at : at + size]) for at in range(512, samples.size, size)]
    assert np.abs(np.concatenate(parts).astype(int) - whole).max() <= 1


def test_it_is_the_filter_that_it_says() -> None:
    samples = np.random.default_rng(2).normal(500, 2000, 4000).astype(np.int16)
    pole = 1 / (1 + 2 * np.pi * 5.0 / RATE)
    before, value, wanted = float(samples[:4000].astype(float).mean()), 0.0, []
    for sample in samples.astype(float):
        value = pole * (value + sample - before)
        before = sample
        wanted.append(value)
    assert np.abs(DcBlocker().process(samples) - np.array(wanted)).max() <= 0.5


def test_after_a_reset_another_offset_is_no_jump() -> None:
    blocker = DcBlocker()
    blocker.process(np.full(512, 1000, np.int16))
    blocker.reset()
    assert not blocker.process(np.full(512, -20_000, np.int16)).any()


def test_no_samples_are_no_samples() -> None:
    assert DcBlocker().process(np.zeros(0, np.int16)).size == 0
