"""The smoothed emotion of the room."""

import msgspec

from edge.link.state.smoothing import Smoother
from edge.protocol import LABELS, Probabilities
from tests.support.messages import event

WALL = 1_800_000_000.0


def say(smoother, now, label, share=0.9, seconds=2.0):
    rest = (1 - share) / (len(LABELS) - 1)
    shares = Probabilities(**(dict.fromkeys(LABELS, rest) | {label: share}))
    one = msgspec.structs.replace(event(1), probabilities=shares, duration_ms=int(seconds * 1000))
    smoother.add(one, now)


def emotion(smoother, now):
    return smoother.state(now, WALL + now).emotion


def test_before_the_first_utterance_there_is_no_state():
    assert Smoother(60).state(0, WALL) is None


def test_one_short_word_does_not_colour_the_room_and_a_sentence_does():
    smoother = Smoother(60)
    say(smoother, 0, "angry", seconds=0.3)
    assert emotion(smoother, 0) == "uncertain"
    say(smoother, 1, "angry", seconds=3)
    assert emotion(smoother, 1) == "angry"


def test_a_silent_room_fades_to_uncertain_and_the_half_life_says_how_fast():
    for half_life in (10, 100):
        smoother = Smoother(half_life)
        say(smoother, 0, "happy", seconds=4)
        assert emotion(smoother, half_life) == "happy"
        assert emotion(smoother, 5 * half_life) == "uncertain"


def test_the_present_outweighs_the_past():
    smoother = Smoother(30)
    for second in range(0, 20, 4):
        say(smoother, second, "happy")
    assert emotion(smoother, 20) == "happy"
    for second in range(80, 100, 4):
        say(smoother, second, "sad")
    assert emotion(smoother, 100) == "sad"


def test_two_emotions_of_the_same_strength_do_not_flicker():
    smoother = Smoother(60)
    say(smoother, 0, "happy", seconds=3)
    seen = [emotion(smoother, 0)]
    for second in range(1, 60):
        say(smoother, second, "sad" if second % 2 else "happy", share=0.5, seconds=1)
        seen.append(emotion(smoother, second))
    assert set(seen) == {"happy"}


def test_since_is_when_the_emotion_began_and_stays():
    smoother = Smoother(60)
    say(smoother, 0, "happy", seconds=4)
    first = smoother.state(0, WALL)
    assert first.since == "2027-01-15T08:00:00.000Z"
    say(smoother, 20, "happy", seconds=4)
    assert smoother.state(20, WALL + 20).since == first.since
    assert smoother.state(20, WALL + 20).confidence > first.confidence


def test_a_long_monologue_counts_no_more_than_five_seconds():
    short, long = Smoother(60), Smoother(60)
    say(short, 0, "happy", seconds=5)
    say(long, 0, "happy", seconds=60)
    assert short.state(0, WALL) == long.state(0, WALL)
