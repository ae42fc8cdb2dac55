"""What is counted of an ear while its model is on probation, and of the model before."""

from __future__ import annotations

import math
from typing import Final

from edge.config.settings import Updates
from edge.protocol.messages import EarHealth, PredictionCountsReport
from edge.releases.probation import Judgement, Rules, Seen, judge
from edge.releases.state import Baseline, Probation, Slot, State

MAX_TALLIES: Final = 4


class Watch:
    """Counts; knows neither the store nor the clock: times are monotonic seconds of the caller."""

    def __init__(self, config: Updates) -> None:
        self._rules = Rules(config.probation_minutes * 60, config.probation_utterances)
        self._tallies: dict[str, PredictionCountsReport] = {}
        self._rss: tuple[float, float] | None = None
        self._since = math.inf
        self.deaths = 0

    def begin(self, probation: Probation | None, now: float) -> None:
        """A probation begins, or goes on after a restart; None: there is none."""
        self._since = math.inf if probation is None else now - probation.spent_s
        if probation is not None:
            self.deaths, self._rss = probation.deaths, None

    def spent_s(self, now: float) -> float | None:
        """Since it has begun; None: there is none."""
        return max(0.0, now - self._since) if math.isfinite(self._since) else None

    def other_model(self) -> None:
        """The memory of the ear is that of another model from now on."""
        self._rss = None

    def health(self, health: EarHealth) -> None:
        """Its memory: grown since the model came?"""
        first = health.rss_mb if self._rss is None else self._rss[0]
        self._rss = (first, health.rss_mb)

    def tally(self, tally: PredictionCountsReport) -> None:
        """What a model has said so far."""
        self._tallies.pop(tally.model_sha256, None)
        self._tallies[tally.model_sha256] = tally
        while len(self._tallies) > MAX_TALLIES:
            del self._tallies[next(iter(self._tallies))]

    def before(self, now: State) -> Baseline | None:
        """What the model before had said, where its ear has told it: never one that was refused since."""
        current, previous = now.current, now.previous
        found = [
            tally
            for sha, tally in self._tallies.items()
            if current is not None
            and sha != current.model_sha256
            and sha not in now.refused
            and (previous is None or sha == previous.model_sha256)
        ]
        return _baseline(found[-1]) if found else None

    def judge(
        self, current: Slot, probation: Probation, now: float, *, running: bool, ear: bool
    ) -> Judgement:
        """Whether the current model has proved itself."""
        grown = 0.0 if self._rss is None else self._rss[1] - self._rss[0]
        seen = Seen(
            spent_s=now - self._since, tally=self._tallies.get(current.model_sha256), running=running, ear=ear,
            deaths=self.deaths, grown_mb=grown,
        )  # fmt: skip
        return judge(seen, probation.baseline, self._rules)


def _baseline(tally: PredictionCountsReport) -> Baseline:
    return Baseline(
        utterances=tally.utterances, uncertain=tally.uncertain, labels=tally.labels, p50_ms=tally.p50_ms
    )
