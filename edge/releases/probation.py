"""Whether a new model has proved itself in this room: pure arithmetic over counts, compared with the model before.

Both models' figures are those without adaptation to the room: else an old model that has learnt the room for months
would be compared with one that has just come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from edge.protocol.messages import LABELS, PredictionCountsReport
from edge.releases.state import Baseline

DEATHS: Final = 3
"""Ears that ended with it: the watchdog, a crash."""
NOT_TAKEN_S: Final = 120.0
"""An ear that is there has to run it by then."""
LONGEST_S: Final = 86_400.0
"""After a day without a fault it is good, however little was said."""
MIN_COMPARED: Final = 10
"""Utterances of each model below which their shares say nothing."""
CHANCE: Final = 1e-3
"""Probability below which a streak of one label is no chance."""
ONE_LABEL: Final = 0.7
"""Share of the commonest label that is assumed of a room of which nothing is known."""
ABSTAINS_MORE: Final = 0.35
ABSTAINS: Final = 0.9
DISAGREES: Final = 0.8
"""Total variation between what the two have said of the room."""
SLOWER: Final = 4.0
SLOW_MS: Final = 200.0
GROWS_MB: Final = 80.0


@dataclass(frozen=True)
class Seen:
    """What is known now."""

    spent_s: float
    tally: PredictionCountsReport | None
    running: bool
    """Whether the ear runs the new model."""
    ear: bool
    """Whether there is an ear."""
    deaths: int = 0
    grown_mb: float = 0.0


@dataclass(frozen=True)
class Rules:
    """How long, and how much must have been heard."""

    least_s: float
    utterances: int


Judgement = tuple[Literal["wait", "good", "bad"], str]


def judge(seen: Seen, before: Baseline, rules: Rules) -> Judgement:
    """`wait`, `good`, or `bad` with the reason."""
    if seen.deaths >= DEATHS:
        return "bad", f"{seen.deaths} ears ended while they ran it"
    if seen.ear and not seen.running and seen.spent_s > NOT_TAKEN_S:
        return "bad", "the ear does not run it"
    if seen.grown_mb > GROWS_MB:
        return "bad", f"leaks memory: the ear has grown by {seen.grown_mb:.0f} MB"
    tally = seen.tally
    enough = tally is not None and tally.utterances >= rules.utterances
    if tally is not None and enough and (why := fault(tally, before)):
        return "bad", why
    if (enough and seen.spent_s >= rules.least_s) or (seen.spent_s >= LONGEST_S and seen.running):
        return "good", ""
    return "wait", ""


def fault(now: PredictionCountsReport, before: Baseline) -> str:
    """What is wrong with what it says; empty: nothing."""
    count = now.utterances
    known = before.utterances >= MIN_COMPARED
    counts = np.array(now.labels, np.float64)
    past = np.array(before.labels, np.float64)
    top = int(counts.argmax())
    # Of a room that is always neutral the model before has said so, too (Laplace's rule of succession).
    usual = float((past[top] + 1) / (past.sum() + len(LABELS))) if known else ONE_LABEL
    if counts[top] == count and usual**count < CHANCE:
        return f"collapsed: {count} utterances, and all of them {LABELS[top]}"
    share = now.uncertain / count
    share_before = before.uncertain / before.utterances if known else 0.0
    much = count >= MIN_COMPARED
    if known and much and share > share_before + ABSTAINS_MORE:
        return f"abstains from {share:.0%} of what is said, the model before from {share_before:.0%}"
    if not known and much and share > ABSTAINS:
        return f"abstains from {share:.0%} of what is said"
    if known and much:
        distance = float(np.abs(counts / count - past / past.sum()).sum()) / 2
        if distance > DISAGREES:
            return f"disagrees with the model before on {distance:.0%} of what is said in this room: wrong labels?"
    if known and now.p50_ms > max(SLOW_MS, SLOWER * before.p50_ms):
        return (
            f"too slow: {now.p50_ms:.0f} ms for an utterance, the model before needed {before.p50_ms:.0f} ms"
        )
    return ""
