"""The ear's microphone source on cards of many kinds, through the real PortAudio and ALSA; see `tests/support/alsa`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SPEECH
from tests.support.alsa import FakeCard

soxr = pytest.importorskip("soxr")
RATE = 16_000


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    path = SPEECH / "goforward.raw"
    if not path.exists():
        pytest.skip("no recorded speech: apt install pocketsphinx-testdata")
    recorded = np.frombuffer(path.read_bytes(), "<i2") / 32768
    return np.concatenate((recorded, np.random.default_rng(0).normal(0, 2e-4, RATE)))


@pytest.fixture
def card(tmp_path: Path) -> FakeCard:
    return FakeCard(tmp_path)


def at(rate: int, sound: np.ndarray) -> np.ndarray:
    return np.asarray(soxr.resample(sound, RATE, rate), np.float64)


def hum(size: int, level: float, hz: float = 50.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(size) / RATE)


def noise(size: int, level: float) -> np.ndarray:
    return np.random.default_rng(3).normal(0, level, size)


LAYOUTS = {
    "stereo, voice left": (48_000, "S16_LE", lambda v: [v, 0 * v]),
    "stereo, voice right": (48_000, "S16_LE", lambda v: [0 * v, v]),
    "stereo, opposite": (48_000, "S16_LE", lambda v: [v, -v]),
    "stereo, noise right": (RATE, "S16_LE", lambda v: [v, noise(v.size, 0.1)]),
    "stereo, 44.1 kHz, 32 bits": (44_100, "S32_LE", lambda v: [v, v]),
    "stereo, 24 bits": (48_000, "S24_3LE", lambda v: [v, v]),
    "I2S, weak, one channel of two": (48_000, "S32_LE", lambda v: [v / 16, 0 * v]),
    "six channels, voice on the third": (RATE, "S16_LE", lambda v: [0 * v, 0 * v, v, 0 * v, 0 * v, 0 * v]),
    "six channels, one noisy, one unused": (
        RATE,
        "S16_LE",
        lambda v: [v, v, v, v, noise(v.size, 0.001), 0 * v],
    ),
    "one channel at 8 kHz": (8_000, "S16_LE", lambda v: [v]),
    "an offset of 0.2": (RATE, "S16_LE", lambda v: [v + 0.2]),
    "mains hum": (RATE, "S16_LE", lambda v: [v + hum(v.size, 0.1)]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_voice_is_heard(card: FakeCard, voice: np.ndarray, layout: str) -> None:
    rate, form, make = LAYOUTS[layout]
    channels = make(voice if rate == RATE else at(rate, voice))
    card.add("probed", np.stack(channels, axis=1), rate, form)
    found = card.probe("probed")
    assert "lost" not in found
    assert (found["rate"], found["channels"], found["used"]) == (rate, len(channels), "mean")
    assert 0.2 < found["speech"] < 0.95, found["name"]
    expected = 20 * np.log10(np.sqrt(np.square(voice).mean()))
    weaker = 24 if "I2S" in layout else 0
    assert found["dbfs"] == pytest.approx(expected - weaker, abs=4 if "noise" not in layout else 12)
    assert abs(found["mean"]) < 20
    assert found["faults"] == [None] * len(found["faults"])


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        (np.full((RATE, 1), -1 / 32767), "unchanging"),
        (np.full((RATE, 1), 0.25), "unchanging"),
        (np.full((RATE, 2), 1.0), "unchanging"),
        (np.random.default_rng(4).integers(-1, 1, (RATE, 1)) / 32767, "unchanging"),
        (np.sign(noise(RATE, 1.0))[:, None], "overloaded"),
    ],
    ids=["constant -1", "constant 8192", "at the rail", "flickering", "clipped"],
)
def test_a_microphone_without_sound_is_recognised(card: FakeCard, sound: np.ndarray, fault: str) -> None:
    card.add("probed", sound, RATE)
    found = card.probe("probed", seconds=2.0)
    assert set(found["faults"][8:]) == {fault}


def test_a_quiet_room_is_no_fault(card: FakeCard) -> None:
    card.add("probed", noise(5 * RATE, 0.0003)[:, None], RATE)
    found = card.probe("probed", seconds=2.0)
    assert set(found["faults"]) == {None}
    assert found["speech"] < 0.05


@pytest.mark.parametrize(("channel", "speech"), [(1, False), (2, True), ("loudest", True)])
def test_a_channel_can_be_chosen(card: FakeCard, voice: np.ndarray, channel: object, speech: bool) -> None:
    card.add("probed", np.stack([noise(voice.size, 0.0003), voice], axis=1), RATE)
    found = card.probe("probed", channel)
    assert found["used"] == str(channel)
    assert (found["speech"] > 0.2) == speech


def test_a_channel_that_the_device_does_not_have_is_said(card: FakeCard, voice: np.ndarray) -> None:
    card.add("probed", np.stack([voice, voice], axis=1), RATE)
    assert "there is no channel 3: the source has 2" in card.probe("probed", 3)["lost"]
