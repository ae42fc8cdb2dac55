"""What a model has said of a room, without adaptation: a handful of counts by which two models can be compared."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from edge.inference.classifier import Result
from edge.protocol.messages import LABELS, PredictionCountsReport

RECENT: Final = 64


class Tally:
    """Counts since the model runs; of latencies the last few."""

    def __init__(self) -> None:
        self.utterances = 0
        self._uncertain = 0
        self._labels = [0] * len(LABELS)
        self._latencies: deque[float] = deque(maxlen=RECENT)

    def add(self, result: Result, latency_ms: float) -> None:
        """One utterance. What was too short to judge says nothing of a model and is left out."""
        if not result.trusted:
            return
        self.utterances += 1
        self._uncertain += not result.plain_sure
        self._labels[result.plain] += 1
        self._latencies.append(latency_ms)

    def report(self, model_sha256: str) -> PredictionCountsReport:
        """As the link is told."""
        return PredictionCountsReport(
            model_sha256=model_sha256,
            utterances=self.utterances,
            uncertain=self._uncertain,
            labels=tuple(self._labels),
            p50_ms=round(float(np.median(self._latencies)), 1) if self._latencies else 0.0,
        )
