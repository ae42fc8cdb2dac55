"""What is sent of an utterance: whole numbers within the bounds of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from edge.inference.classifier import Result
from edge.protocol import (
    AROUSAL_STEPS,
    BLOCK_MS,
    LATENCY_STEP_MS,
    EventType,
    UtteranceValues,
)


def utterance_values(
    result: Result, *, snr_db: float, level_dbfs: float, started: float, length: int, latency_ms: float
) -> UtteranceValues:
    """Round the result of one utterance. `started`: seconds of CLOCK_MONOTONIC; `length`: blocks of 32 ms."""
    return UtteranceValues(
        event_type=cast(EventType, result.event_type),
        shares=cast(
            tuple[int, int, int, int, int, int, int], percentages(list(result.probabilities.values()))
        ),
        arousal=None if result.arousal is None else _bounded(result.arousal * AROUSAL_STEPS, -20, 20),
        started=max(0, round(started * 1000 / BLOCK_MS)),
        length=_bounded(length, 0, 60_000 // BLOCK_MS),
        snr_db=_bounded(snr_db, -20, 100),
        level_dbfs=_bounded(level_dbfs, -100, 0),
        latency=_bounded(latency_ms / LATENCY_STEP_MS, 0, 255),
    )


def percentages(shares: Sequence[float]) -> tuple[int, ...]:
    """Round non-negative shares that sum to about 1 to whole percent that sum to 100 (largest remainders).

    Example: `percentages([1 / 3, 1 / 3, 1 / 3]) == (34, 33, 33)`.
    """
    values = np.maximum(0.0, np.nan_to_num(np.asarray(shares, float)))
    total = float(values.sum())
    exact = values * 100 / total if total > 0 else np.full(values.size, 100 / values.size)
    whole = np.floor(exact).astype(int)
    # Sorted by remainder; of equal ones the first, so that the result does not depend on the platform.
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: 100 - int(whole.sum())]] += 1
    return tuple(int(value) for value in whole)


def _bounded(value: float, low: int, high: int) -> int:
    return int(min(high, max(low, round(value))))
