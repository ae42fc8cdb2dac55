"""The pictures of a bundle. Plain matplotlib, no display needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge.contract import LABELS
from training.predict import Predictions


def draw(
    folder: Path,
    measured: dict[str, Any],
    found: Predictions,
    temperature: float,
    history: dict[str, Any] | None,
) -> list[str]:
    """Writes confusion.png, reliability.png, speakers.png and, with a history, training.png; their names."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    _confusion(folder / "confusion.png", measured)
    _reliability(folder / "reliability.png", found, temperature, measured["ece"])
    _speakers(folder / "speakers.png", measured)
    if history:
        _training(folder / "training.png", history)
    return sorted(path.name for path in folder.iterdir())


def _figure(width: float, height: float) -> Any:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    # No software version or date in the file: the same numbers give the same bytes.
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _confusion(path: Path, measured: dict[str, Any]) -> None:
    counts = np.array(measured["confusion"]["counts"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure(6.5, 5.5)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=45, ha="right")
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="heard as", ylabel="spoken as", title=f"{measured['bundle']}, {measured['protocol']}")
    for row in range(len(LABELS)):
        for column in range(len(LABELS)):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, int(counts[row, column]), ha="center", va="center", color=colour)
    _save(figure, path)


def _reliability(path: Path, found: Predictions, temperature: float, ece: float) -> None:
    shares = found.probabilities(temperature)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == found.truth
    place = np.minimum((confidence * 15).astype(int), 14)
    bins = [index for index in range(15) if (place == index).any()]
    figure, axes = _figure(5, 5)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    means = [confidence[place == index].mean() for index in bins]
    axes.plot(means, [right[place == index].mean() for index in bins], marker="o")
    axes.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"expected calibration error {ece:.3f}")
    _save(figure, path)


def _speakers(path: Path, measured: dict[str, Any]) -> None:
    speakers = measured["per_speaker"]
    figure, axes = _figure(6.5, 0.4 * len(speakers) + 1.5)
    axes.barh(list(speakers), [entry["accuracy"] for entry in speakers.values()])
    axes.set(xlim=(0, 1), xlabel="accuracy", title="held-out speakers")
    axes.axvline(measured["accuracy"], color="black", linewidth=1)
    _save(figure, path)


def _training(path: Path, history: dict[str, Any]) -> None:
    entries = history["history"]
    epochs = [entry["epoch"] for entry in entries]
    figure, axes = _figure(6.5, 4)
    axes.plot(epochs, [entry["fit_loss"] for entry in entries], label="loss, fit (mixup, smoothed labels)")
    axes.plot(epochs, [entry["loss"] for entry in entries], label="loss, calibration speakers")
    axes.plot(epochs, [entry["macro_f1"] for entry in entries], label="macro F1, calibration speakers")
    axes.set(xlabel="epoch", ylim=(0, None))
    axes.legend()
    _save(figure, path)
