"""Confidence intervals: of a rate of rare events, and of a statistic over speakers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Float = NDArray[np.float64]
CONFIDENCE: Final = 0.95


def poisson_upper(count: int, confidence: float = CONFIDENCE) -> float:
    """Exact one-sided upper bound of a Poisson mean (Garwood 1936, Biometrika 28:437): 3.00 for a count of 0."""
    return float(stats.chi2.ppf(confidence, 2 * (count + 1)) / 2)


def widened(clusters: int, confidence: float = CONFIDENCE) -> float:
    """Return the share to cut off at each end of a bootstrap distribution of so few clusters.

    Percentiles of a bootstrap are too narrow by `sqrt((n - 1) / n)` and by the normal in Student's place; the expanded
    percentile interval makes up for both (Hesterberg 2015, The American Statistician 69:371).
    """
    quantile = stats.t.ppf((1 + confidence) / 2, clusters - 1)
    return float(stats.norm.cdf(-quantile * np.sqrt(clusters / (clusters - 1))))


def bootstrap(
    values: Float,
    statistic: Callable[[Float], Float],
    draws: int = 10_000,
    seed: int = 1,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of a statistic of sums over clusters, by `scipy.stats.bootstrap` over whole clusters.

    `values`, float64 `[clusters, ...]`, are sums over each cluster (of both models: paired); `statistic` takes `[draws,
    ...]` sums to `[draws]` numbers. Whole clusters are drawn and what is in them is kept: drawing within them as well
    would count their spread twice (Davison & Hinkley 1997, section 3.8; Field & Welsh 2007, JRSS B 69:369). Raises
    `ValueError` for fewer than two clusters.
    """
    count = len(values)
    if count < 2:
        raise ValueError("at least two clusters are needed")
    flat = values.reshape(count, -1)

    def of_clusters(chosen: NDArray[np.int64], axis: int = -1) -> Any:
        # `chosen` `[clusters]`, or `[draws, clusters]`: SciPy asks for both.
        sums = flat[np.atleast_2d(chosen)].sum(axis=1).reshape(-1, *values.shape[1:])
        found = statistic(sums)
        return found if chosen.ndim > 1 else found[0]

    made = stats.bootstrap(
        (np.arange(count),), of_clusters, n_resamples=draws, batch=1000, method="percentile", vectorized=True,
        confidence_level=1 - 2 * widened(count, confidence), random_state=np.random.default_rng(seed),
    )  # fmt: skip
    return float(made.confidence_interval.low), float(made.confidence_interval.high)


def of_share(
    hits: NDArray[np.bool_], clusters: NDArray[np.str_], draws: int = 2000, seed: int = 1
) -> tuple[float, float]:
    """95 % interval of the share of `hits`, bool `[n]`, drawing whole clusters (speakers) `[n]`.

    Where all or none are hits a bootstrap would be sure after a single utterance: each cluster then counts as one draw
    (Clopper and Pearson 1934, Biometrika 26:404). (0, 1) for one cluster.
    """
    names, place = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        return 0.0, 1.0
    if hits.all() or not hits.any():
        exact = stats.binomtest(len(names) if hits.all() else 0, len(names)).proportion_ci(
            CONFIDENCE, "exact"
        )
        return float(exact.low), float(exact.high)
    sums = np.zeros((len(names), 2))
    np.add.at(sums, place, np.stack([hits.astype(float), np.ones(len(hits))], axis=1))
    return bootstrap(sums, lambda total: total[..., 0] / np.maximum(total[..., 1], 1.0), draws, seed)
