"""Measures of a classifier, from probabilities and true labels; nothing is ever left out.

`accuracy`, `uar` (unweighted average recall) and `macro_f1` are by argmax over all labels and averaged over the labels
that occur. Expected calibration error: 15 equal bins of confidence (Guo et al. 2017, arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def confusion(truth: NDArray[np.int64], decided: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Counts `[true, decided]`."""
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (truth, decided), 1)
    return table


def accuracy_of(tables: Float) -> Float:
    """Of tables of confusion `[..., true, decided]`: `[...]`."""
    result: Float = np.trace(tables, axis1=-2, axis2=-1) / np.maximum(tables.sum(axis=(-2, -1)), 1e-12)
    return result


def macro_f1_of(tables: Float) -> Float:
    """Of tables of confusion `[..., true, decided]`, over the labels that occur in each: `[...]`."""
    spoken, decided = tables.sum(axis=-1), tables.sum(axis=-2)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    f1 = 2 * hits / np.maximum(spoken + decided, 1e-12)
    present = spoken > 0
    result: Float = (f1 * present).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
    return result


def reliability(confidence: Float, right: NDArray[np.bool_], bins: int = 15) -> list[dict[str, Any]]:
    """The bins of a reliability diagram that are not empty: bounds, count, mean confidence, share of right answers."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "low": index / bins, "high": (index + 1) / bins, "n": int((place == index).sum()),
            "confidence": float(confidence[place == index].mean()), "accuracy": float(right[place == index].mean()),
        }
        for index in range(bins)
        if (place == index).any()
    ]  # fmt: skip


def expected_calibration_error(confidence: Float, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between confidence and share of right answers, weighted by how many fall into a bin."""
    held = reliability(confidence, right, bins)
    return float(sum(one["n"] * abs(one["confidence"] - one["accuracy"]) for one in held) / len(confidence))


def summary(probabilities: Float, truth: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """All measures of `[n, labels]` probabilities and `[n]` true labels as plain JSON values."""
    size = len(labels)
    decided = probabilities.argmax(axis=1)
    table = confusion(truth, decided, size)
    present = np.flatnonzero(table.sum(axis=1))
    hits = np.diag(table).astype(float)
    recall = hits / np.maximum(table.sum(axis=1), 1)
    precision = hits / np.maximum(table.sum(axis=0), 1)
    f1 = 2 * hits / np.maximum(table.sum(axis=1) + table.sum(axis=0), 1)
    confidence = probabilities.max(axis=1)
    right = decided == truth
    surest = np.argsort(-confidence, kind="stable")[: max(1, round(0.8 * len(truth)))]
    restricted = np.asarray(present)[probabilities[:, present].argmax(axis=1)]
    return {
        "n": len(truth),
        "accuracy": float(right.mean()),
        "uar": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "accuracy_restricted": float((restricted == truth).mean()),
        "ece": expected_calibration_error(confidence, right),
        "accuracy_at_80_coverage": float(right[surest].mean()),
        "per_class": {
            labels[int(index)]: {
                "n": int(table[index].sum()),
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
            }
            for index in present
        },
        "confusion": {"labels": list(labels), "counts": table.tolist()},
    }
