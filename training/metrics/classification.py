"""Metrics of a classifier, from probabilities and true labels; nothing is ever left out.

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
    """Count pairs of true and decided label indices, int64 `[n]`; returns int64 `[true, decided]`."""
    from sklearn.metrics import confusion_matrix

    found: NDArray[np.int64] = confusion_matrix(truth, decided, labels=range(size))
    return found


def accuracy_of(tables: Float) -> Float:
    """Accuracy of confusion tables, float64 `[..., true, decided]`; returns float64 `[...]`."""
    result: Float = np.trace(tables, axis1=-2, axis2=-1) / np.maximum(tables.sum(axis=(-2, -1)), 1e-12)
    return result


def macro_f1_of(tables: Float) -> Float:
    """Macro F1 of confusion tables, float64 `[..., true, decided]`: mean over the labels with true clips.

    scikit-learn also averages labels that were only decided, as 0. Returns float64 `[...]`; 0 without clips.
    """
    spoken, decided = tables.sum(axis=-1), tables.sum(axis=-2)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    f1 = 2 * hits / np.maximum(spoken + decided, 1e-12)
    present = spoken > 0
    result: Float = (f1 * present).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
    return result


def area_under_curve(high: Float, low: Float) -> float:
    """Area under the ROC curve of float64 scores `[n]` that should be high against `[m]` that should be low."""
    from sklearn.metrics import roc_auc_score

    truth = np.concatenate([np.ones(len(high)), np.zeros(len(low))])
    return float(roc_auc_score(truth, np.concatenate([high, low])))


def reliability(confidence: Float, right: NDArray[np.bool_], bins: int = 15) -> list[dict[str, Any]]:
    """Return the non-empty bins of a reliability diagram: bounds, count, mean confidence, share of right answers.

    `confidence` is float64 `[n]`, `right` bool `[n]`.
    """
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
    """Return the mean distance between confidence, float64 `[n]`, and share of right answers, bool `[n]`.

    It is weighted by the size of the bins.
    """
    held = reliability(confidence, right, bins)
    return float(sum(one["n"] * abs(one["confidence"] - one["accuracy"]) for one in held) / len(confidence))


def summary(probabilities: Float, truth: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """Compute all metrics of probabilities, float64 `[n, labels]`, and label indices, int64 `[n]`.

    Returns plain JSON values.
    """
    from sklearn.metrics import precision_recall_fscore_support

    decided = probabilities.argmax(axis=1)
    present = np.unique(truth)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, decided, labels=present, zero_division=0.0
    )
    confidence = probabilities.max(axis=1)
    right = decided == truth
    surest = np.argsort(-confidence, kind="stable")[: max(1, round(0.8 * len(truth)))]
    restricted = present[probabilities[:, present].argmax(axis=1)]
    return {
        "n": len(truth),
        "accuracy": float(right.mean()),
        "uar": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "accuracy_restricted": float((restricted == truth).mean()),
        "ece": expected_calibration_error(confidence, right),
        "accuracy_at_80_coverage": float(right[surest].mean()),
        "per_class": {
            labels[int(label)]: {
                "n": int(support[row]),
                "precision": float(precision[row]),
                "recall": float(recall[row]),
                "f1": float(f1[row]),
            }
            for row, label in enumerate(present)
        },
        "confusion": {"labels": list(labels), "counts": confusion(truth, decided, len(labels)).tolist()},
    }


def points(lost: float) -> float:
    """Convert a share, such as 0.123, to rounded percentage points, 12.3."""
    return round(100 * lost, 2)
