"""A microphone that delivers samples and no sound, in all the ways that are known."""

import numpy as np
import pytest

from edge.audio.segmenter import BLOCK
from edge.ear.microphone_state import NO_SOUND_S
from edge.ear.signal_check import SignalCheck
from tests.unit.ear.watched_microphone import WatchedMicrophone

RANDOM = np.random.default_rng(4)


def noise(level: float) -> np.ndarray:
    return np.clip(np.rint(RANDOM.normal(0, level, BLOCK)), -32768, 32767).astype(np.int16)


REPEATED = noise(500)


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (lambda: np.zeros(BLOCK, np.int16), "unchanging"),
        (lambda: np.full(BLOCK, -1, np.int16), "unchanging"),
        (lambda: np.full(BLOCK, 8192, np.int16), "unchanging"),
        (lambda: np.full(BLOCK, 32767, np.int16), "unchanging"),
        (lambda: RANDOM.integers(-1, 1, BLOCK).astype(np.int16), "unchanging"),
        (REPEATED.copy, "unchanging"),
        (lambda: np.where(noise(100) > 0, 32767, -32768).astype(np.int16), "overloaded"),
        (lambda: noise(60_000), "overloaded"),
        (lambda: noise(2), None),
        (lambda: noise(1000), None),
        (lambda: noise(9000), None),
        (lambda: np.where(np.arange(BLOCK) < 100, 32767, noise(9000)).astype(np.int16), None),
    ],
    ids=[
        "zeros",
        "-1",
        "8192",
        "rail",
        "flicker",
        "repeated",
        "square",
        "clipped",
        "very quiet",
        "sound",
        "loud",
        "peaks",
    ],
)
def test_blocks_without_sound_are_recognised(block, fault: str | None) -> None:
    blocks = [block() for _ in range(5)]
    one, together, parts = SignalCheck(), SignalCheck(), SignalCheck()
    found = [found for block in blocks for found in one.faults([block])]
    assert found[1:] == [fault] * 4
    assert together.faults(blocks) == found
    assert parts.faults(blocks[:2]) + parts.faults(blocks[2:]) == found


def test_a_mixture_of_faults_for_a_minute_is_a_lost_microphone() -> None:
    states: list[str] = []
    live = WatchedMicrophone(states.append)
    live.on_self_test(0.0)
    live.on_opened(0.0)
    live.on_block(0.1)
    now = 0.1
    while now < NO_SOUND_S + 1.0:
        now += 0.5
        live.on_block(now, fault="overloaded" if int(now) % 2 else "unchanging")
    assert states == ["ok", "lost"]
    live.on_block(now + 0.1)
    assert states == ["ok", "lost", "ok"]
