"""Intervals of confidence: of a rate of rare events, and of a difference over speakers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Float = NDArray[np.float64]


def poisson_upper(count: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a Poisson mean (Garwood 1936, Biometrika 28:437): 3.00 for a count of 0."""
    return float(stats.chi2.ppf(confidence, 2 * (count + 1)) / 2)


def poisson_lower(count: int, confidence: float = 0.95) -> float:
    """The one-sided lower bound: 0 for a count of 0."""
    return float(stats.chi2.ppf(1 - confidence, 2 * count) / 2) if count else 0.0


def widened(clusters: int, confidence: float = 0.95) -> float:
    """The share to cut off at each end of a bootstrap distribution of so few clusters.

    Percentiles of a bootstrap are too narrow by `sqrt((n - 1) / n)` and by the normal in Student's place; the expanded
    percentile interval makes up for both (Hesterberg 2015, The American Statistician 69:371).
    """
    quantile = stats.t.ppf((1 + confidence) / 2, clusters - 1)
    return float(stats.norm.cdf(-quantile * np.sqrt(clusters / (clusters - 1))))


def resampled_weights(clusters: int, draws: int, seed: int) -> Float:
    """How often each cluster is drawn, `[draws, clusters]`."""
    random = np.random.default_rng(seed)
    return random.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws).astype(float)


def bootstrap(
    values: Float,
    statistic: Callable[[Float], Float],
    draws: int = 10_000,
    seed: int = 1,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of a statistic of sums over clusters.

    `values` `[clusters, ...]` are sums over each cluster (of both models: paired); `statistic` takes `[draws, ...]`
    sums to `[draws]` numbers. Whole clusters are drawn and what is in them is kept: drawing within them as well would
    count their spread twice (Davison & Hinkley 1997, section 3.8; Field & Welsh 2007, JRSS B 69:369).
    Raises `ValueError` for fewer than two clusters.
    """
    count = len(values)
    if count < 2:
        raise ValueError("at least two clusters are needed")
    weights = resampled_weights(count, draws, seed)
    sums = (weights @ values.reshape(count, -1)).reshape(draws, *values.shape[1:])
    found = statistic(sums)
    tail = widened(count, confidence)
    low, high = np.quantile(found, (tail, 1 - tail))
    return float(low), float(high)
