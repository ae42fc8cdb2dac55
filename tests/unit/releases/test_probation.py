"""The decision about a model on probation."""

from __future__ import annotations

import msgspec
import pytest

from edge.config.settings import Updates
from edge.protocol import PredictionCountsReport
from edge.releases.probation.monitor import ProbationMonitor
from edge.releases.probation.rollback_decision import (
    LOAD_TIMEOUT_S,
    MAX_CRASHES,
    MAX_DURATION_S,
    Criteria,
    Observation,
    decide,
)
from edge.releases.store.state import ReferenceCounts, RefusedModel, Slot, State

CRITERIA = Criteria(min_s=600, utterances=20)
MIXED = (10, 4, 2, 2, 1, 1, 0)
BEFORE = ReferenceCounts(utterances=200, uncertain=40, labels=(100, 40, 20, 20, 10, 10, 0), p50_ms=80.0)


def counts(labels=MIXED, uncertain: int = 4, p50_ms: float = 80.0) -> PredictionCountsReport:
    return PredictionCountsReport(
        model_sha256="0" * 64, utterances=sum(labels), uncertain=uncertain, labels=labels, p50_ms=p50_ms
    )


def observed(**changes: object) -> Observation:
    return Observation(
        **({"spent_s": 700.0, "counts": counts(), "running": True, "connected": True} | changes)
    )


def test_time_and_utterances_both_have_to_pass() -> None:
    assert decide(observed(), BEFORE, CRITERIA)[0] == "pass"
    assert decide(observed(spent_s=599), BEFORE, CRITERIA)[0] == "wait"
    assert decide(observed(counts=counts((10, 4, 2, 2, 1, 0, 0))), BEFORE, CRITERIA)[0] == "wait"
    assert decide(observed(counts=None), BEFORE, CRITERIA)[0] == "wait"
    # A room in which nobody speaks does not hold up the next update for ever.
    assert decide(observed(counts=None, spent_s=MAX_DURATION_S), BEFORE, CRITERIA)[0] == "pass"


@pytest.mark.parametrize(
    ("changes", "before", "words"),
    [
        (
            {"counts": counts((0, 0, 0, 20, 0, 0, 0))},
            BEFORE,
            "collapsed: 20 utterances, and all of them angry",
        ),
        ({"counts": counts((20, 0, 0, 0, 0, 0, 0))}, ReferenceCounts(), "collapsed"),
        ({"counts": counts(uncertain=12)}, BEFORE, "abstains from 60%"),
        ({"counts": counts(uncertain=19)}, ReferenceCounts(), "abstains from 95%"),
        ({"counts": counts((0, 0, 0, 0, 2, 2, 16))}, BEFORE, "disagrees"),
        ({"counts": counts(p50_ms=900.0)}, BEFORE, "too slow: 900 ms"),
        ({"crashes": MAX_CRASHES}, BEFORE, "the ear has ended 3 times"),
        ({"running": False, "spent_s": LOAD_TIMEOUT_S + 1}, BEFORE, "the ear does not run it"),
        ({"grown_mb": 120.0}, BEFORE, "leaks memory"),
    ],
)
def test_a_fault_is_found_and_named(changes, before, words: str) -> None:
    verdict, why = decide(observed(**changes), before, CRITERIA)
    assert (verdict, words in why) == ("fail", True), why


def test_a_room_that_is_always_neutral_is_no_collapse() -> None:
    calm = ReferenceCounts(utterances=300, uncertain=10, labels=(298, 1, 1, 0, 0, 0, 0), p50_ms=80.0)
    assert decide(observed(counts=counts((20, 0, 0, 0, 0, 0, 0), uncertain=1)), calm, CRITERIA)[0] == "pass"


def test_few_utterances_prove_nothing() -> None:
    few = Criteria(min_s=0, utterances=2)
    assert decide(observed(counts=counts((0, 0, 0, 2, 0, 0, 0), uncertain=2)), BEFORE, few)[0] == "pass"
    two = ReferenceCounts(utterances=2, uncertain=0, labels=(2, 0, 0, 0, 0, 0, 0), p50_ms=10.0)
    assert decide(observed(counts=counts((0, 5, 5, 5, 5, 0, 0), p50_ms=900)), two, CRITERIA)[0] == "pass"


def test_an_ear_that_is_away_is_not_blamed_for_what_it_does_not_run() -> None:
    assert decide(observed(running=False, connected=False, counts=None), BEFORE, CRITERIA)[0] == "wait"


def test_a_model_that_was_rolled_back_is_no_measure_for_the_next_one() -> None:
    """The shipped model, a bad one, the shipped one again: the next one is compared with the shipped one."""
    shipped, bad, new = ("0" * 64, "b" * 64, "c" * 64)
    slot = Slot(name="base-1.2.0", folder="base-1.2.0.c", release=2, target_sha256="d" * 64, model_sha256=new)
    refused = RefusedModel(
        name="base-1.1.0", target_sha256="e" * 64, model_sha256=bad, release=1, why="", at=0.0
    )
    monitor = ProbationMonitor(Updates())
    for sha, labels in ((shipped, MIXED), (bad, (0, 0, 0, 0, 2, 2, 16)), (new, MIXED)):
        monitor.on_counts(msgspec.structs.replace(counts(labels), model_sha256=sha))
    found = monitor.reference(State(current=slot, refused_models=(refused,)))
    assert found is not None
    assert found.labels == MIXED
    # Of the one that was pushed before nothing is known: then nothing is compared.
    previous = msgspec.structs.replace(slot, model_sha256="f" * 64)
    assert monitor.reference(State(current=slot, previous=previous, refused_models=(refused,))) is None
