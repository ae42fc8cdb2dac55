"""What a room says of a new model, and of the one before."""

from __future__ import annotations

import msgspec
import pytest

from edge.config.settings import Updates
from edge.protocol.messages import PredictionCountsReport
from edge.releases.probation import (
    DEATHS,
    LONGEST_S,
    NOT_TAKEN_S,
    Rules,
    Seen,
    judge,
)
from edge.releases.probation_counts import Watch
from edge.releases.state import Bad, Baseline, Slot, State

RULES = Rules(least_s=600, utterances=20)
MIXED = (10, 4, 2, 2, 1, 1, 0)
BEFORE = Baseline(utterances=200, uncertain=40, labels=(100, 40, 20, 20, 10, 10, 0), p50_ms=80.0)


def tally(labels=MIXED, uncertain: int = 4, p50_ms: float = 80.0) -> PredictionCountsReport:
    return PredictionCountsReport(
        model_sha256="0" * 64, utterances=sum(labels), uncertain=uncertain, labels=labels, p50_ms=p50_ms
    )


def seen(**changes: object) -> Seen:
    return Seen(**({"spent_s": 700.0, "tally": tally(), "running": True, "ear": True} | changes))


def test_time_and_utterances_both_have_to_pass() -> None:
    assert judge(seen(), BEFORE, RULES)[0] == "good"
    assert judge(seen(spent_s=599), BEFORE, RULES)[0] == "wait"
    assert judge(seen(tally=tally((10, 4, 2, 2, 1, 0, 0))), BEFORE, RULES)[0] == "wait"
    assert judge(seen(tally=None), BEFORE, RULES)[0] == "wait"
    # A room in which nobody speaks does not hold up the next update for ever.
    assert judge(seen(tally=None, spent_s=LONGEST_S), BEFORE, RULES)[0] == "good"


@pytest.mark.parametrize(
    ("changes", "before", "words"),
    [
        ({"tally": tally((0, 0, 0, 20, 0, 0, 0))}, BEFORE, "collapsed: 20 utterances, and all of them angry"),
        ({"tally": tally((20, 0, 0, 0, 0, 0, 0))}, Baseline(), "collapsed"),
        ({"tally": tally(uncertain=12)}, BEFORE, "abstains from 60%"),
        ({"tally": tally(uncertain=19)}, Baseline(), "abstains from 95%"),
        ({"tally": tally((0, 0, 0, 0, 2, 2, 16))}, BEFORE, "disagrees"),
        ({"tally": tally(p50_ms=900.0)}, BEFORE, "too slow: 900 ms"),
        ({"deaths": DEATHS}, BEFORE, "ears ended while they ran it"),
        ({"running": False, "spent_s": NOT_TAKEN_S + 1}, BEFORE, "the ear does not run it"),
        ({"grown_mb": 120.0}, BEFORE, "leaks memory"),
    ],
)
def test_a_fault_is_found_and_named(changes, before, words: str) -> None:
    verdict, why = judge(seen(**changes), before, RULES)
    assert (verdict, words in why) == ("bad", True), why


def test_a_room_that_is_always_neutral_is_no_collapse() -> None:
    calm = Baseline(utterances=300, uncertain=10, labels=(298, 1, 1, 0, 0, 0, 0), p50_ms=80.0)
    assert judge(seen(tally=tally((20, 0, 0, 0, 0, 0, 0), uncertain=1)), calm, RULES)[0] == "good"


def test_few_utterances_prove_nothing() -> None:
    few = Rules(least_s=0, utterances=2)
    assert judge(seen(tally=tally((0, 0, 0, 2, 0, 0, 0), uncertain=2)), BEFORE, few)[0] == "good"
    two = Baseline(utterances=2, uncertain=0, labels=(2, 0, 0, 0, 0, 0, 0), p50_ms=10.0)
    assert judge(seen(tally=tally((0, 5, 5, 5, 5, 0, 0), p50_ms=900)), two, RULES)[0] == "good"


def test_an_ear_that_is_away_is_not_blamed_for_what_it_does_not_run() -> None:
    assert judge(seen(running=False, ear=False, tally=None), BEFORE, RULES)[0] == "wait"


def test_a_model_that_was_rolled_back_is_no_measure_for_the_next_one() -> None:
    """The shipped model, a bad one, the shipped one again: the next one is compared with the shipped one."""
    shipped, bad, new = ("0" * 64, "b" * 64, "c" * 64)
    slot = Slot(name="base-1.2.0", folder="base-1.2.0.c", release=2, target_sha256="d" * 64, model_sha256=new)
    refused = Bad(name="base-1.1.0", target_sha256="e" * 64, model_sha256=bad, release=1, why="", at=0.0)
    watch = Watch(Updates())
    for sha, labels in ((shipped, MIXED), (bad, (0, 0, 0, 0, 2, 2, 16)), (new, MIXED)):
        watch.tally(msgspec.structs.replace(tally(labels), model_sha256=sha))
    found = watch.before(State(current=slot, bad=(refused,)))
    assert found is not None
    assert found.labels == MIXED
    # Of the one that was pushed before nothing is known: then nothing is compared.
    previous = msgspec.structs.replace(slot, model_sha256="f" * 64)
    assert watch.before(State(current=slot, previous=previous, bad=(refused,))) is None
