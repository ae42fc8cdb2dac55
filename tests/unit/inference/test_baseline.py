import msgspec
import numpy as np
import pytest

from edge.inference.baseline import LARGEST, Baseline, BaselineState, Relative, arousal_odds, log_odds
from edge.inference.decision import arousal_of, decide, evidence_of, score
from edge.inference.relative_head import ArousalOdds, RelativeHead
from edge.protocol import LABELS
from tests.conftest import ROOT
from tests.support.bundles.tiny import RELATIVE

HEAD = msgspec.convert(RELATIVE, RelativeHead)
SPEC = HEAD.baseline


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def ordinary(random: np.random.Generator, count: int, offset: object = 0.0) -> np.ndarray:
    """Outputs `[count, 8]` of ordinary speech in a room that moves them by an offset."""
    return random.normal(0.0, 1.0, (count, 8)) + np.asarray(offset)


def learnt(outputs: np.ndarray, **options: float) -> Baseline:
    baseline = Baseline(SPEC, **options)
    for one in outputs:
        assert baseline.add(one)
    return baseline


def test_a_new_baseline_is_that_of_ordinary_speech_in_general():
    baseline = Baseline(SPEC)
    assert baseline.to_state().location == SPEC.origin
    assert baseline.shrinkage == 0
    assert baseline.relative(np.zeros(8)).logits == pytest.approx(SPEC.bias)


def test_what_a_room_adds_to_everything_is_taken_out(random):
    offset = np.array([-1.5, 0.2, 0.8, 2.0, 0.0, -0.5, 0.3, 1.0])
    baseline = learnt(ordinary(random, 600, offset))
    assert np.abs(np.array(baseline.to_state().location) - offset).max() < 0.35
    # What sounded angry against ordinary speech in general is ordinary here.
    assert decide(Baseline(SPEC).relative(offset), HEAD).event_type == "angry"
    assert decide(baseline.relative(offset), HEAD).event_type == "neutral"


def test_ten_utterances_take_it_most_of_the_way(random):
    baseline = learnt(ordinary(random, 10, 1.0))
    assert 0.3 < np.mean(baseline.to_state().location) < 1.2
    assert 0.5 < baseline.shrinkage < 0.7


def test_one_utterance_however_far_moves_it_no_more_than_one_at_the_limit(random):
    moves = []
    for distance in (5.0, 50.0, 5000.0):
        baseline = learnt(ordinary(np.random.default_rng(0), 50))
        before = np.array(baseline.to_state().location)
        # Seven equal logits more: far away, and no emotion.
        baseline.add(np.full(8, distance))
        moves.append(np.linalg.norm(np.array(baseline.to_state().location) - before))
    assert moves[2] <= 1.2 * moves[0]


def test_it_comes_back_after_an_evening_of_shouting(random):
    baseline = learnt(ordinary(random, 300))
    shouting = np.zeros(8)
    shouting[[3, 7]] = 4.0
    for _ in range(60):
        baseline.add(shouting + random.normal(0, 1, 8))
    for one in ordinary(random, 600):
        baseline.add(one)
    assert np.abs(np.array(baseline.to_state().location)).max() < 0.4


def test_forgetting_is_a_new_beginning(random):
    baseline = learnt(ordinary(random, 50, 2.0))
    baseline.reset()
    assert baseline.to_state() == Baseline(SPEC).to_state()


def test_a_shorter_memory_adapts_faster(random):
    before, after = ordinary(random, 400), ordinary(random, 40, 1.5)
    slow, fast = learnt(before), learnt(before, memory=50)
    for one in after:
        slow.add(one)
        fast.add(one)
    assert np.mean(fast.to_state().location) > np.mean(slow.to_state().location)


@pytest.mark.parametrize(
    "bad", [np.zeros(7), np.full(8, np.nan), np.full(8, np.inf), np.full(8, 2 * LARGEST), np.zeros((8, 1))]
)
def test_what_is_no_output_is_not_learnt(bad):
    baseline = Baseline(SPEC)
    assert not baseline.add(bad)
    assert baseline.to_state() == Baseline(SPEC).to_state()


def test_a_state_goes_to_disk_and_back(random):
    first, second = learnt(ordinary(random, 77, 0.5)), Baseline(SPEC)
    second.restore(msgspec.json.decode(msgspec.json.encode(first.to_state()), type=BaselineState))
    assert second.to_state() == first.to_state()
    probe = np.arange(8.0)
    first.add(probe)
    second.add(probe)
    assert second.to_state() == first.to_state()
    assert len(msgspec.json.encode(first.to_state())) < 600


GOOD = Baseline(SPEC).to_state()


@pytest.mark.parametrize(
    "changes",
    [
        {"location": (0.0,) * 7}, {"location": (float("nan"),) * 8}, {"location": (1e9,) * 8},
        {"weight": 1.0}, {"utterances": 1, "weight": -1.0}, {"utterances": 1, "weight": float("nan")},
        {"evidence_below": 0.0}, {"arousal_below": float("nan")}, {"utterances": 1, "evidence_weight": 2.0},
    ],
)  # fmt: skip
def test_a_state_that_makes_no_sense_is_refused_and_changes_nothing(changes):
    baseline = learnt(np.ones((3, 8)))
    before = baseline.to_state()
    with pytest.raises(ValueError, match=r"invalid|outputs"):
        baseline.restore(msgspec.structs.replace(GOOD, **changes))
    assert baseline.to_state() == before


def test_log_odds_are_those_of_the_softmax():
    logits = np.array([0.3, -1.0, 2.0, 0.5, 0.0, -2.0, 1.0])
    shares = np.exp(logits) / np.exp(logits).sum()
    assert log_odds(logits) == pytest.approx(np.log((1 - shares[0]) / shares[0]))


def test_arousal_odds_are_those_of_the_agitated_labels_against_the_calm_ones():
    logits = np.array([2.0, 0.5, -1.0, 0.3, 0.0, 5.0, 0.7])
    shares = dict(zip(LABELS, np.exp(logits), strict=True))
    high = sum(shares[name] for name in ("happy", "angry", "fearful", "surprised"))
    assert arousal_odds(logits) == pytest.approx(np.log(high / (shares["neutral"] + shares["sad"])))


def with_odds(weight: float, median: float) -> Baseline:
    return Baseline(msgspec.structs.replace(SPEC, arousal_odds=ArousalOdds(weight=weight, median=median)))


def test_the_labels_take_part_in_relative_arousal():
    usual = arousal_odds(np.array(SPEC.bias))
    baseline = with_odds(2.0, usual)
    assert baseline.relative(np.array(SPEC.origin)).arousal == pytest.approx(0.0)
    angry, sad = np.array(SPEC.origin), np.array(SPEC.origin)
    angry[LABELS.index("angry")] += 4.0
    sad[LABELS.index("sad")] += 4.0
    assert baseline.relative(angry).arousal > 1.0
    assert baseline.relative(sad).arousal < -0.1
    # Not in a bundle that has no weight for them.
    assert Baseline(SPEC).relative(angry).arousal == Baseline(SPEC).relative(sad).arousal == 0.0
    angry[7] += 0.5
    expected = 2.0 * (arousal_odds(angry[:7] - SPEC.origin[:7] + SPEC.bias) - usual) + 0.5
    assert baseline.relative(angry).arousal == pytest.approx(expected)


def test_the_spread_of_arousal_is_that_of_both_parts(random):
    flat = ordinary(random, 300)
    flat[:, 7] *= 0.2
    baseline = with_odds(5.0, arousal_odds(np.array(SPEC.bias)))
    for one in flat:
        baseline.add(one)
    assert learnt(flat).relative(np.zeros(8)).arousal_spread == 0.6
    assert baseline.relative(np.zeros(8)).arousal_spread > 0.9


def at(wanted: float, *emotions: float) -> np.ndarray:
    """Outputs with these six logits of emotions, and that score in a new room."""
    outputs = np.array([0.0, *(emotions or (3.0, 0, 0, 0, 0, 0)), 0.0])
    outputs[0] += score(Baseline(SPEC).relative(outputs), HEAD) - wanted
    return outputs


def test_the_threshold_separates_what_is_named():
    below, above = (decide(Baseline(SPEC).relative(at(2.0 + off)), HEAD) for off in (-0.01, 0.01))
    assert above.event_type == "happy"
    assert below.event_type != "happy"
    assert below.probabilities.sum() == pytest.approx(1.0)
    assert above.confidence == pytest.approx(above.probabilities[1])


def test_what_is_likely_ordinary_is_neutral():
    found = decide(Baseline(SPEC).relative(at(-3.0)), HEAD)
    assert found.event_type == "neutral"
    assert found.confidence == pytest.approx(found.probabilities[0])


def test_an_emotion_that_could_be_any_is_uncertain():
    found = decide(Baseline(SPEC).relative(at(1.5, 0, 0, 0, 0, 0, 0.01)), HEAD)
    assert found.event_type == "uncertain"
    assert found.probabilities[0] < 0.5


def relative(arousal: float, evidence_spread: float = 1.0, arousal_spread: float = 1.0) -> Relative:
    return Relative(np.zeros(7), arousal, evidence_spread, arousal_spread)


def test_arousal_is_zero_where_it_is_usual_and_ends_at_one():
    assert arousal_of(relative(0.0), HEAD) == 0.0
    assert arousal_of(relative(1.5), HEAD) == pytest.approx(0.5)
    assert arousal_of(relative(-1.5), HEAD) == pytest.approx(-0.5)
    assert arousal_of(relative(99.0), HEAD) == 1.0
    assert arousal_of(relative(-99.0), HEAD) == -1.0


def test_where_calm_speech_varies_little_less_is_remarkable():
    assert arousal_of(relative(1.0, arousal_spread=0.6), HEAD) > arousal_of(relative(1.0), HEAD)
    assert evidence_of(relative(0.0, evidence_spread=0.6), HEAD) > evidence_of(relative(0.0), HEAD)
    assert evidence_of(relative(0.0, evidence_spread=1.6), HEAD) < evidence_of(relative(0.0), HEAD)


def test_a_room_that_is_not_known_yet_needs_more_evidence(random):
    head = msgspec.structs.replace(HEAD, decision=msgspec.structs.replace(HEAD.decision, caution=2.0))
    new, known = Baseline(SPEC).relative(at(1.0)), learnt(ordinary(random, 500)).relative(at(1.0))
    assert new.unsure == 1.0 and known.unsure < 0.05
    assert evidence_of(new, head) == pytest.approx(evidence_of(new, HEAD) - 2.0)
    assert evidence_of(known, head) == pytest.approx(evidence_of(known, HEAD), abs=0.1)
    assert score(new, head) == pytest.approx(score(new, HEAD) - 2.0)
    # What is published as probabilities is as careful.
    assert decide(new, head).probabilities[0] > decide(new, HEAD).probabilities[0]


def test_the_spread_of_a_room_is_that_of_its_calm_half(random):
    def spread(outputs: np.ndarray) -> float:
        return learnt(outputs).relative(np.zeros(8)).arousal_spread

    lively, flat = ordinary(random, 400), 0.2 * ordinary(random, 400)
    shouting = flat.copy()
    shouting[::10, 7] += 30.0
    assert spread(flat) == 0.6
    assert spread(lively) > spread(flat)
    assert spread(shouting) < spread(lively)
    assert spread(10 * lively) == 1.6


def test_what_is_kept_of_a_room_is_as_many_numbers_as_people_are_told():
    state = msgspec.structs.astuple(Baseline(SPEC).to_state())
    assert sum(len(value) if isinstance(value, tuple) else 1 for value in state) == 14
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    assert "Fourteen numbers, in one file" in page
    assert "fourteen numbers" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "catorce números" in (ROOT / "docs" / "es" / "sala.md").read_text(encoding="utf-8")
