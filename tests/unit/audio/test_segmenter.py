import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.audio.segmenter import (
    BLOCK,
    Samples,
    Segmenter,
    Utterance,
    blocks_of,
)
from edge.config.load import load

SPEECH, PAUSE, WAVER = 0.9, 0.05, 0.42
# A pre-roll that is shorter than the hang-over, so that both are seen.
CONFIG = load(None, {"segmenter.pre_roll_ms": 256})
HANG_OVER = blocks_of(CONFIG.segmenter.hang_over_ms)
PRE_ROLL = blocks_of(CONFIG.segmenter.pre_roll_ms)
MIN = blocks_of(CONFIG.segmenter.min_speech_ms)
MAX = blocks_of(CONFIG.segmenter.max_speech_ms)


def block(number: int) -> Samples:
    """A block that tells its number (from 1: nought would be a filling)."""
    return np.full(BLOCK, number + 1, np.int16)


def numbers(utterance: Utterance) -> list[int]:
    return [int(value) - 1 for value in utterance.samples[::BLOCK]]


def play(
    probabilities: list[float], segmenter: Segmenter | None = None, flush: bool = True
) -> list[Utterance]:
    segmenter = segmenter or Segmenter(CONFIG)
    ended = [u for i, p in enumerate(probabilities) for u in segmenter.push(block(i), p)]
    return ended + (segmenter.flush() if flush else [])


def test_an_utterance_has_its_pre_roll_its_speech_and_as_much_of_its_hang_over() -> None:
    (utterance,) = play([PAUSE] * 20 + [SPEECH] * 30 + [PAUSE] * 40)
    assert numbers(utterance) == list(range(20 - PRE_ROLL, 50 + PRE_ROLL))
    assert utterance.speech == slice(PRE_ROLL * BLOCK, (PRE_ROLL + 30) * BLOCK)
    assert utterance.first_block == 20
    assert utterance.duration_ms == 30 * 32


def test_the_end_is_said_when_the_hang_over_is_over_and_not_before() -> None:
    segmenter = Segmenter(CONFIG)
    assert play([SPEECH] * 20 + [PAUSE] * (HANG_OVER - 1), segmenter, flush=False) == []
    assert len(segmenter.push(block(99), PAUSE)) == 1


def test_a_pause_shorter_than_the_hang_over_does_not_tear_an_utterance() -> None:
    (utterance,) = play([SPEECH] * 10 + [PAUSE] * (HANG_OVER - 1) + [SPEECH] * 10 + [PAUSE] * 30)
    assert utterance.duration_ms == (20 + HANG_OVER - 1) * 32


def test_between_the_thresholds_speech_goes_on_but_does_not_begin() -> None:
    assert play([WAVER] * 200) == []
    (utterance,) = play([SPEECH] + [WAVER] * 60)
    assert utterance.duration_ms == 61 * 32


def test_a_click_is_not_an_utterance() -> None:
    assert play([PAUSE] * 10 + [SPEECH] * (MIN - 1) + [PAUSE] * 40) == []
    assert len(play([PAUSE] * 10 + [SPEECH] * MIN + [PAUSE] * 40)) == 1


def test_speech_right_after_the_start_has_no_pre_roll_rather_than_zeros() -> None:
    (utterance,) = play([SPEECH] * 12 + [PAUSE] * 40)
    assert numbers(utterance)[0] == 0
    assert utterance.speech.start == 0


def test_speech_that_does_not_end_is_cut_and_goes_on_without_losing_a_block() -> None:
    utterances = play([SPEECH] * (2 * MAX + 50))
    assert [u.cut for u in utterances] == [True, True, False]
    assert [n for u in utterances for n in numbers(u)] == list(range(2 * MAX + 50))


def test_an_answer_that_comes_at_once_gets_what_is_left_of_the_hang_over_as_its_pre_roll() -> None:
    first, second = play([SPEECH] * 20 + [PAUSE] * HANG_OVER + [SPEECH] * 20 + [PAUSE] * 40)
    assert numbers(first)[-1] + 1 == 20 + PRE_ROLL
    assert numbers(second)[0] == 20 + HANG_OVER - min(PRE_ROLL, HANG_OVER - PRE_ROLL)


def test_after_a_reset_nothing_from_before_is_used() -> None:
    segmenter = Segmenter(CONFIG)
    play([PAUSE] * 10 + [SPEECH] * 10, segmenter, flush=False)
    segmenter.reset()
    assert not segmenter.speaking
    (utterance,) = play([SPEECH] * 10 + [PAUSE] * 30, segmenter)
    assert len(numbers(utterance)) == 10 + PRE_ROLL
    assert utterance.first_block == 20


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([SPEECH, PAUSE, WAVER]), st.integers(1, 40)), max_size=20),
    st.sampled_from([0, 64, 192, 1000]),
    st.sampled_from([64, 480, 1500]),
)
def test_every_block_is_in_at_most_one_utterance_and_all_limits_hold(
    runs: list[tuple[float, int]], pre_roll: int, hang_over: int
) -> None:
    config = load(
        None,
        {
            "segmenter.pre_roll_ms": pre_roll,
            "segmenter.hang_over_ms": hang_over,
            "segmenter.max_speech_ms": 2000,
        },
    )
    probabilities = [p for p, n in runs for _ in range(n)]
    used: list[int] = []
    for utterance in play(probabilities, Segmenter(config)):
        inside = numbers(utterance)
        assert inside == list(range(inside[0], inside[-1] + 1))
        used += inside
        first = utterance.first_block
        assert probabilities[first] == SPEECH
        assert inside[utterance.speech.start // BLOCK] == first
        length = (utterance.speech.stop - utterance.speech.start) // BLOCK
        assert blocks_of(config.segmenter.min_speech_ms) <= length <= blocks_of(2000)
        assert utterance.speech.start <= blocks_of(pre_roll) * BLOCK
    assert used == sorted(set(used))
