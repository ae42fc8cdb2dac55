"""The smoothed emotion, whatever is heard in whatever order: its thresholds hold to the last digit."""

from __future__ import annotations

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from edge.link.state.smoothing import AHEAD, ENTER, LEAVE, LONGEST_S, SILENCE_S, Smoother
from edge.protocol import LABELS, UNCERTAIN, Probabilities
from tests.support.messages import event

WALL = 1_800_000_000.0
MARGIN = 1e-6
Utterance = tuple[float, str, float, float]
"""Seconds since the one before, label, its probability, length in seconds."""
UTTERANCES = st.lists(
    st.tuples(st.floats(0, 300), st.sampled_from(LABELS), st.floats(0.15, 1.0), st.floats(0.1, 20)),
    min_size=1,
    max_size=25,
)


class Reference:
    """The formula of the module's docstring, computed anew from all utterances each time."""

    def __init__(self, half_life_s: float) -> None:
        self.half_life_s = half_life_s
        self.heard: list[tuple[float, dict[str, float], float]] = []

    def shares(self, now: float) -> dict[str, float]:
        weights = {
            label: sum(
                length * shares[label] * 2 ** (-(now - at) / self.half_life_s)
                for at, shares, length in self.heard
            )
            for label in LABELS
        }
        total = sum(weights.values()) + SILENCE_S
        return {label: weight / total for label, weight in weights.items()}


def probabilities(label: str, share: float) -> dict[str, float]:
    return dict.fromkeys(LABELS, (1 - share) / (len(LABELS) - 1)) | {label: share}


@given(UTTERANCES, st.floats(1, 600))
@example([(0.0, "angry", 1.0, ENTER / (1 - ENTER) - 1e-3)], 60.0)
@example([(0.0, "angry", 1.0, ENTER / (1 - ENTER) + 1e-3)], 60.0)
def test_a_label_is_shown_from_its_entry_to_its_exit_or_until_another_is_ahead(
    utterances: list[Utterance], half_life_s: float
) -> None:
    state = Smoother(half_life_s)
    reference = Reference(half_life_s)
    now, shown = 0.0, UNCERTAIN
    for pause, label, share, seconds in utterances:
        now += pause
        shares = probabilities(label, share)
        milliseconds = int(seconds * 1000)
        one = msgspec.structs.replace(
            event(1), probabilities=Probabilities(**shares), duration_ms=milliseconds
        )
        state.add(one, now)
        reference.heard.append((now, shares, min(milliseconds / 1000, LONGEST_S)))
        found = state.state(now, WALL + now)
        assert found is not None
        check(found.emotion, shown, reference.shares(now))
        assert abs(found.confidence - expected_confidence(found.emotion, reference.shares(now))) <= 0.0006
        shown = found.emotion


def check(emotion: str, before: str, shares: dict[str, float]) -> None:
    """The rules of the docstring, each with a margin for rounding."""
    best = max(shares.values())
    if emotion == UNCERTAIN:
        assert best < ENTER + MARGIN
        if before != UNCERTAIN:
            assert shares[before] < LEAVE + MARGIN or best - shares[before] > AHEAD - MARGIN
    elif emotion == before:
        assert shares[emotion] >= LEAVE - MARGIN
        assert best - shares[emotion] < AHEAD + MARGIN or shares[emotion] >= best - MARGIN
    else:
        assert shares[emotion] >= best - MARGIN
        assert best >= ENTER - MARGIN
        if before != UNCERTAIN:
            assert shares[before] < LEAVE + MARGIN or best - shares[before] >= AHEAD - MARGIN


def expected_confidence(emotion: str, shares: dict[str, float]) -> float:
    return max(shares.values()) if emotion == UNCERTAIN else shares[emotion]


@given(UTTERANCES, st.floats(1, 600))
def test_a_silent_room_ends_uncertain_and_its_confidence_only_falls(
    utterances: list[Utterance], half_life_s: float
) -> None:
    state = Smoother(half_life_s)
    now = 0.0
    for pause, label, share, seconds in utterances:
        now += pause
        one = msgspec.structs.replace(
            event(1),
            probabilities=Probabilities(**probabilities(label, share)),
            duration_ms=int(seconds * 1000),
        )
        state.add(one, now)
    confidence = 1.0
    for _ in range(40):
        found = state.state(now, WALL + now)
        assert found is not None
        if found.emotion != UNCERTAIN:
            assert found.confidence <= confidence
            confidence = found.confidence
        now += half_life_s / 2
    assert found.emotion == UNCERTAIN
    assert found.confidence < 0.01


@given(st.sampled_from(LABELS))
def test_one_utterance_is_shown_exactly_from_the_length_that_the_formula_gives(label: str) -> None:
    """With probability 1 and length s the share is s / (s + SILENCE_S): ENTER is reached at one length exactly."""
    least = ENTER * SILENCE_S / (1 - ENTER)
    for seconds, shown in ((least + 0.01, label), (least - 0.01, UNCERTAIN)):
        state = Smoother(60)
        one = msgspec.structs.replace(
            event(1),
            probabilities=Probabilities(**probabilities(label, 1.0)),
            duration_ms=round(seconds * 1000),
        )
        state.add(one, 0.0)
        found = state.state(0.0, WALL)
        assert found is not None
        assert found.emotion == shown
