"""Statistics of the model on probation, and of the previous one, as the ear reports them."""

from __future__ import annotations

import math
from typing import Final

from edge.config.settings import Updates
from edge.protocol import EarHealth, PredictionCountsReport
from edge.releases.probation.rollback_decision import Criteria, Decision, Observation, decide
from edge.releases.store.state import Probation, ReferenceCounts, Slot, State

MAX_MODELS: Final = 4


class ProbationMonitor:
    """Collects the ear's reports on a model on probation (crashes, memory, predictions) and decides from them.

    All times are the caller's monotonic seconds.
    """

    def __init__(self, config: Updates) -> None:
        self._criteria = Criteria(config.probation_minutes * 60, config.probation_utterances)
        self._counts: dict[str, PredictionCountsReport] = {}
        self._rss: tuple[float, float] | None = None
        self._since = math.inf
        self.crashes = 0

    def begin(self, probation: Probation | None, now: float) -> None:
        """Start a probation, or continue one after a restart; None: there is none.

        `now`: monotonic seconds, unlike `Probation.since`, which is wall-clock time.
        """
        self._since = math.inf if probation is None else now - probation.spent_s
        if probation is not None:
            self.crashes, self._rss = probation.crashes, None

    def spent_s(self, now: float) -> float | None:
        """Return the seconds since the probation has begun; None where there is none."""
        return max(0.0, now - self._since) if math.isfinite(self._since) else None

    def on_model_changed(self) -> None:
        """Restart the measurement of the ear's memory growth."""
        self._rss = None

    def on_health(self, health: EarHealth) -> None:
        """Note the memory that the ear uses."""
        first = health.rss_mb if self._rss is None else self._rss[0]
        self._rss = (first, health.rss_mb)

    def on_counts(self, counts: PredictionCountsReport) -> None:
        """Note the latest prediction counts of a model."""
        self._counts.pop(counts.model_sha256, None)
        self._counts[counts.model_sha256] = counts
        while len(self._counts) > MAX_MODELS:
            del self._counts[next(iter(self._counts))]

    def reference(self, now: State) -> ReferenceCounts | None:
        """Return the prediction counts of the previous model; None where the ear has not reported them.

        Those of a refused model are never used.
        """
        current, previous = now.current, now.previous
        found = [
            counts
            for sha, counts in self._counts.items()
            if current is not None
            and sha != current.model_sha256
            and sha not in now.refused_hashes
            and (previous is None or sha == previous.model_sha256)
        ]
        return _reference(found[-1]) if found else None

    def decide(
        self, current: Slot, probation: Probation, now: float, *, running: bool, connected: bool
    ) -> Decision:
        """Decide whether the current model passes, fails, or needs more time."""
        grown = 0.0 if self._rss is None else self._rss[1] - self._rss[0]
        seen = Observation(
            spent_s=now - self._since, counts=self._counts.get(current.model_sha256), running=running,
            connected=connected, crashes=self.crashes, grown_mb=grown,
        )  # fmt: skip
        return decide(seen, probation.reference, self._criteria)


def _reference(counts: PredictionCountsReport) -> ReferenceCounts:
    return ReferenceCounts(
        utterances=counts.utterances, uncertain=counts.uncertain, labels=counts.labels, p50_ms=counts.p50_ms
    )
