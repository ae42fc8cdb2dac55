"""From predictions to the plain JSON object of a protocol over labelled clips, with or without the baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from training.metrics import classification as metrics
from training.metrics import replay
from training.metrics.predictions import Predictions

Float = NDArray[np.float64]
MAIN = ("accuracy", "uar", "macro_f1", "accuracy_restricted", "ece", "accuracy_at_80_coverage", "coverage")


def measure(protocol: str, bundle: Bundle, found: Predictions, adapt: str | None = None) -> dict[str, Any]:
    """Compute all measures of a protocol of labelled clips, with equally likely labels and the bundle's calibration.

    With `adapt="baseline"`: the mean of the measures over `replay.ORDERS` orders, and how far it is from `plain`.
    Raises `BundleError` where the bundle has an absolute head.
    """
    plain = {"protocol": protocol, "bundle": bundle.full_name} | shares_of(
        replay.without_baseline(bundle, found), found, bundle.manifest.abstain_below
    )
    if adapt is None:
        return plain
    return plain | adapted(bundle, found, plain["accuracy"]) | {
        "adapt": adapt,
        "plain": {key: plain[key] for key in MAIN},
    }  # fmt: skip


def adapted(bundle: Bundle, found: Predictions, plain: float) -> dict[str, Any]:
    """Average the measures with a baseline over several orders of the utterances.

    `plain`: accuracy without baseline.
    """
    each = [
        shares_of(probabilities, found, bundle.manifest.abstain_below)
        for probabilities in replay.in_orders(bundle, found)
    ]
    result: dict[str, Any] = mean_of(each)
    result["orders"] = len(each)
    result["gain"] = round(100 * (result["accuracy"] - plain), 2)
    return result


def shares_of(probabilities: Float, found: Predictions, threshold: float) -> dict[str, Any]:
    """Compute accuracy, coverage and the like of probabilities, float64 `[n, labels]`.

    Clips without enough speech count as not answered in `coverage`.
    """
    right = probabilities.argmax(axis=1) == found.truth
    covered = found.enough_speech & (probabilities.max(axis=1) >= threshold)
    return {
        **metrics.summary(probabilities, found.truth, LABELS),
        "coverage": float(covered.mean()),
        "accuracy_covered": float(right[covered].mean()) if covered.any() else 0.0,
        "per_speaker": _grouped(found.speakers, right),
        "per_room": _grouped(found.rooms, right),
    }


def _grouped(names: Sequence[str], right: NDArray[np.bool_]) -> dict[str, dict[str, Any]]:
    held: dict[str, list[bool]] = defaultdict(list)
    for name, hit in zip(names, right, strict=True):
        held[name].append(bool(hit))
    return {name: {"n": len(hits), "accuracy": float(np.mean(hits))} for name, hits in sorted(held.items())}


def mean_of(objects: Sequence[Any]) -> Any:
    """Average JSON values of equal shape number by number; what is no number is taken from the first."""
    first = objects[0]
    if isinstance(first, dict):
        return {key: mean_of([one[key] for one in objects]) for key in first}
    if isinstance(first, list):
        return [mean_of(list(values)) for values in zip(*objects, strict=True)]
    if isinstance(first, bool) or not isinstance(first, int | float):
        return first
    mean = float(np.mean(objects))
    return int(mean) if isinstance(first, int) and mean.is_integer() else mean
