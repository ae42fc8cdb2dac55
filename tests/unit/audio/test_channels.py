"""One channel from several: the voice is used wherever it is, and nothing that is no voice takes its place."""

import numpy as np
import pytest

from edge.audio.channels import ChannelMixer

RATE = 16_000
BLOCK = 512


def voice(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """Bursts of sound with pauses between them, as speech has, float32 `[n]`, RMS of the bursts about 0.1."""
    random = np.random.default_rng(seed)
    size = int(seconds * RATE)
    envelope = (np.sin(2 * np.pi * 1.5 * np.arange(size) / RATE) > 0).astype(float)
    return (0.1 * envelope * random.normal(size=size)).astype(np.float32)


def noise(level: float, size: int, seed: int = 1) -> np.ndarray:
    return (level * np.random.default_rng(seed).normal(size=size)).astype(np.float32)


def mixed(channels: list[np.ndarray], choice: object = "mean") -> np.ndarray:
    frames = np.stack(channels, axis=1)
    mixer = ChannelMixer(len(channels), choice)  # type: ignore[arg-type]
    return np.concatenate([mixer.mix(frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)])


def likeness(found: np.ndarray, wanted: np.ndarray) -> float:
    """Correlation in the second half, when the mixer has heard enough; the sign does not matter."""
    half = len(wanted) // 2
    return abs(float(np.corrcoef(found[half:], wanted[half:])[0, 1]))


def level(found: np.ndarray) -> float:
    half = len(found) // 2
    return float(np.sqrt(np.square(found[half:]).mean()))


SPEECH = voice()
ZERO = np.zeros_like(SPEECH)
HISS = noise(0.0005, SPEECH.size)
LOUD_NOISE = noise(0.3, SPEECH.size)

LAYOUTS = {
    "left only": [SPEECH, ZERO],
    "right only": [ZERO, SPEECH],
    "right only, hiss left": [HISS, SPEECH],
    "inverted": [SPEECH, -SPEECH],
    "inverted and weaker": [SPEECH, -0.5 * SPEECH],
    "third of six": [ZERO, ZERO, SPEECH, SPEECH, ZERO, ZERO],
    "one inverted of six": [SPEECH, SPEECH, -SPEECH, SPEECH, HISS, ZERO],
    "constant beside": [np.full_like(SPEECH, 0.5), SPEECH],
    "with an offset": [SPEECH + 0.3, ZERO],
    "loud noise beside": [SPEECH, LOUD_NOISE],
    "loud noise on three of four": [
        noise(0.3, SPEECH.size, 5),
        SPEECH,
        noise(0.3, SPEECH.size, 6),
        LOUD_NOISE,
    ],
}


@pytest.mark.parametrize("choice", ["mean", "loudest"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_voice_is_used_wherever_it_is(layout: str, choice: str) -> None:
    found = mixed(LAYOUTS[layout], choice)
    assert likeness(found, SPEECH) > 0.98
    assert level(found - found.mean()) > 0.6 * level(SPEECH)


def test_a_plain_mean_of_equal_channels_is_the_channel_itself() -> None:
    np.testing.assert_allclose(mixed([SPEECH, SPEECH]), SPEECH, atol=1e-6)


def test_opposite_channels_do_not_cancel_from_the_first_block_on() -> None:
    found = mixed([SPEECH, -SPEECH])
    assert np.sqrt(np.square(found[: 4 * BLOCK]).mean()) > 0.9 * np.sqrt(
        np.square(SPEECH[: 4 * BLOCK]).mean()
    )


def test_the_loudest_is_one_channel_and_another_when_the_speaker_moves() -> None:
    other = voice(10.0, seed=9)  # the memory is three seconds long
    near_left = [np.concatenate((SPEECH, 0.1 * other)), np.concatenate((0.1 * SPEECH, other))]
    found = mixed(near_left, "loudest")
    assert likeness(found[: SPEECH.size], SPEECH) > 0.98
    assert likeness(found[SPEECH.size :], other) > 0.98


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_number_is_that_channel_alone(number: int) -> None:
    channels = [HISS, SPEECH, LOUD_NOISE]
    np.testing.assert_array_equal(mixed(channels, number), channels[number - 1])


@pytest.mark.parametrize(("channels", "number"), [(1, 2), (2, 3), (2, 0)])
def test_a_number_without_a_channel_is_refused(channels: int, number: int) -> None:
    with pytest.raises(ValueError, match=rf"no channel {number}: the source has {channels}"):
        ChannelMixer(channels, number)


def test_silence_and_nothing_at_all_are_mixed_to_silence() -> None:
    assert not mixed([ZERO, ZERO]).any()
    assert ChannelMixer(2).mix(np.zeros((0, 2), np.float32)).shape == (0,)
