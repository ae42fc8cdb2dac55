"""Counts of a model's predictions without the baseline, by which two models on one device can be compared."""

from __future__ import annotations

from collections import deque
from typing import Final

from edge.audio.quantiles import quantile
from edge.inference.classifier import Result
from edge.protocol import LABELS, PredictionCountsReport

RECENT: Final = 64


class PredictionCounts:
    """Counts the predictions of a model since it was loaded, and keeps its latest latencies."""

    def __init__(self) -> None:
        self.utterances = 0
        self._uncertain = 0
        self._labels = [0] * len(LABELS)
        self._latencies: deque[float] = deque(maxlen=RECENT)

    def add(self, result: Result, latency_ms: float) -> None:
        """Count one utterance; those too short to classify are left out."""
        if not result.enough_speech:
            return
        self.utterances += 1
        self._uncertain += not result.unadapted_confident
        self._labels[result.unadapted_label] += 1
        self._latencies.append(latency_ms)

    def report(self, model_sha256: str) -> PredictionCountsReport:
        """Return the counts as a message to the link."""
        return PredictionCountsReport(
            model_sha256=model_sha256,
            utterances=self.utterances,
            uncertain=self._uncertain,
            labels=tuple(self._labels),
            p50_ms=round(quantile(self._latencies, 0.5), 1) if self._latencies else 0.0,
        )
