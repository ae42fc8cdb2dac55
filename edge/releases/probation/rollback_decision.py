"""The decision about a model on probation: a pure function of counts, compared with those of the previous model.

Both models' counts are those without adaptation to the room: otherwise a model with months of adaptation would be
compared with one that has just been installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from edge.protocol import LABELS, PredictionCountsReport
from edge.releases.store.state import ReferenceCounts

MAX_CRASHES: Final = 3
"""Unexpected ends of the ear with the new model: a crash, or the watchdog."""
LOAD_TIMEOUT_S: Final = 120.0
"""A connected ear has to run the new model by then."""
MAX_DURATION_S: Final = 86_400.0
"""After a day without a fault the model passes, however little was said."""
MIN_COMPARED: Final = 10
"""Utterances of each model that are needed to compare shares."""
SIGNIFICANCE: Final = 1e-3
"""Probability below which a run of one label counts as a fault."""
DEFAULT_TOP_SHARE: Final = 0.7
"""Share of the most frequent label that is assumed without a previous model's counts."""
MAX_ADDITIONAL_UNCERTAIN: Final = 0.35
MAX_UNCERTAIN: Final = 0.9
MAX_TOTAL_VARIATION: Final = 0.8
"""Total variation distance between the label distributions of both models."""
MAX_SLOWDOWN: Final = 4.0
ALWAYS_FAST_ENOUGH_MS: Final = 200.0
MAX_GROWTH_MB: Final = 80.0


@dataclass(frozen=True)
class Observation:
    """What has been observed of a model on probation so far."""

    spent_s: float
    counts: PredictionCountsReport | None
    running: bool
    """Whether the ear runs the new model."""
    connected: bool
    """Whether an ear is connected."""
    crashes: int = 0
    grown_mb: float = 0.0


@dataclass(frozen=True)
class Criteria:
    """The shortest duration (seconds) and number of utterances of a probation."""

    min_s: float
    utterances: int


Decision = tuple[Literal["wait", "pass", "fail"], str]
"""The second is the reason of a failure."""


def decide(seen: Observation, reference: ReferenceCounts, criteria: Criteria) -> Decision:
    """Decide whether a model on probation passes, fails (and is rolled back), or needs more time."""
    if seen.crashes >= MAX_CRASHES:
        return "fail", f"the ear has ended {seen.crashes} times while it ran it"
    if seen.connected and not seen.running and seen.spent_s > LOAD_TIMEOUT_S:
        return "fail", "the ear does not run it"
    if seen.grown_mb > MAX_GROWTH_MB:
        return "fail", f"leaks memory: the ear has grown by {seen.grown_mb:.0f} MB"
    counts = seen.counts
    enough = counts is not None and counts.utterances >= criteria.utterances
    if counts is not None and enough and (why := find_fault(counts, reference)):
        return "fail", why
    if (enough and seen.spent_s >= criteria.min_s) or (seen.spent_s >= MAX_DURATION_S and seen.running):
        return "pass", ""
    return "wait", ""


def find_fault(now: PredictionCountsReport, before: ReferenceCounts) -> str:
    """Compare a model's prediction counts with those of the previous one; return what is wrong, or an empty text."""
    count = now.utterances
    known = before.utterances >= MIN_COMPARED
    counts = np.array(now.labels, np.float64)
    past = np.array(before.labels, np.float64)
    top = int(counts.argmax())
    # In a room that is always neutral the previous model has said so, too (Laplace's rule of succession).
    usual = float((past[top] + 1) / (past.sum() + len(LABELS))) if known else DEFAULT_TOP_SHARE
    if counts[top] == count and usual**count < SIGNIFICANCE:
        return f"collapsed: {count} utterances, and all of them {LABELS[top]}"
    share = now.uncertain / count
    share_before = before.uncertain / before.utterances if known else 0.0
    many = count >= MIN_COMPARED
    if known and many and share > share_before + MAX_ADDITIONAL_UNCERTAIN:
        return f"abstains from {share:.0%} of what is said, the previous model from {share_before:.0%}"
    if not known and many and share > MAX_UNCERTAIN:
        return f"abstains from {share:.0%} of what is said"
    if known and many:
        distance = float(np.abs(counts / count - past / past.sum()).sum()) / 2
        if distance > MAX_TOTAL_VARIATION:
            return f"disagrees with the previous model on {distance:.0%} of what is said in this room: wrong labels?"
    if known and now.p50_ms > max(ALWAYS_FAST_ENOUGH_MS, MAX_SLOWDOWN * before.p50_ms):
        return f"too slow: {now.p50_ms:.0f} ms for an utterance, the previous model needed {before.p50_ms:.0f} ms"
    return ""
