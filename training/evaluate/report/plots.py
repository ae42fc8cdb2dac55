"""The pictures of a bundle. Plain matplotlib, no display needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate.report import figures, household_plots
from training.metrics import classification as metrics
from training.metrics.predictions import Predictions

NOTES = household_plots.NOTES | {
    "confusion.png": "which label is taken for which",
    "reliability.png": "whether confidence can be believed",
    "speakers.png": "how far speakers differ",
    "conditions.png": "accuracy against noise, and in rooms",
    "training.png": "the training, epoch by epoch",
}


def draw(
    folder: Path,
    measured: Mapping[str, list[dict[str, Any]]],
    held_out: tuple[Predictions, NDArray[np.float64]] | None,
    history: Mapping[str, Any] | None,
) -> list[str]:
    """Write the plots of what was measured into `folder`; returns the names of all files in it.

    `measured`: the objects of each protocol, by its name. `held_out`: the predictions of that
    protocol and their probabilities, float64 `[n, 7]`, None where it was not measured.
    `history`: for `training.png`.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    household_plots.draw(folder, measured)
    if held_out is not None:
        first = measured["held-out"][0]
        _confusion(folder / "confusion.png", first)
        _reliability(folder / "reliability.png", *held_out, first["ece"])
        _speakers(folder / "speakers.png", measured)
    if measured.get("noise") or measured.get("reverberation"):
        _conditions(folder / "conditions.png", measured)
    if history:
        _training(folder / "training.png", history)
    return sorted(path.name for path in folder.iterdir())


def _confusion(path: Path, measured: Mapping[str, Any]) -> None:
    labels, counts = measured["confusion"]["labels"], np.array(measured["confusion"]["counts"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = figures.figure(6.5, 5.5)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="heard as", ylabel="spoken as", title=f"{measured['bundle']}, {measured['protocol']}")
    for row in range(len(labels)):
        for column in range(len(labels)):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, round(counts[row, column]), ha="center", va="center", color=colour)
    figures.save(figure, path)


def _reliability(path: Path, found: Predictions, shares: NDArray[np.float64], ece: float) -> None:
    bins = metrics.reliability(shares.max(axis=1), shares.argmax(axis=1) == found.truth)
    figure, axes = figures.figure(5, 5)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    middles = [(one["low"] + one["high"]) / 2 for one in bins]
    most = max(one["n"] for one in bins)
    axes.bar(
        middles,
        [0.25 * one["n"] / most for one in bins],
        width=1 / 15,
        color="lightgrey",
        label="clips (not to scale)",
    )
    axes.plot(
        [one["confidence"] for one in bins],
        [one["accuracy"] for one in bins],
        marker="o",
        label="right answers",
    )
    axes.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"held-out: expected calibration error {ece:.3f}")
    axes.legend(loc="upper left")
    figures.save(figure, path)


def _speakers(path: Path, measured: Mapping[str, list[dict[str, Any]]]) -> None:
    shown = [name for name in ("held-out", "unseen-language") if measured.get(name)]
    rows = [
        (name, entry) for protocol in shown for name, entry in measured[protocol][0]["per_speaker"].items()
    ]
    adapted: dict[str, float] = {}
    for protocol in shown:
        for one in measured.get(f"{protocol}, adapted", []):
            adapted |= {name: entry["accuracy"] for name, entry in one["per_speaker"].items()}
    figure, axes = figures.figure(6.5, 0.4 * len(rows) + 1.5)
    places = np.arange(len(rows))[::-1]
    axes.barh(places, [entry["accuracy"] for _, entry in rows], color="tab:blue", label="plain")
    axes.set_yticks(places, [f"{name} ({entry['n']})" for name, entry in rows])
    if adapted:
        axes.scatter(
            [adapted.get(name, np.nan) for name, _ in rows], places, marker="D", color="black", zorder=3,
            label="adapted to the room",
        )  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="accuracy", title=f"speakers never heard: {', '.join(shown)} (clips)")
    for protocol, style in zip(shown, ("-", ":"), strict=False):
        axes.axvline(
            measured[protocol][0]["accuracy"],
            color="black",
            linewidth=1,
            linestyle=style,
            label=f"all of {protocol}",
        )
    axes.legend(fontsize="small")
    figures.save(figure, path)


def _conditions(path: Path, measured: Mapping[str, list[dict[str, Any]]]) -> None:
    figure, (left, right) = figures.figure(10, 4.2, columns=2)
    noise, rooms = measured.get("noise", []), measured.get("reverberation", [])
    if noise:
        ratios = [one["condition"].removesuffix(" dB") for one in noise]
        for key, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
            left.plot(range(len(noise)), [one[key] for one in noise], marker="o", label=title)
        left.set_xticks(range(len(noise)), ratios)
        left.set(xlabel="signal-to-noise ratio in dB", ylim=(0, 1), title=_titled("recorded noise", noise))
        left.legend()
    if rooms:
        places = np.arange(len(rooms))[::-1]
        right.barh(places, [one["accuracy"] for one in rooms])
        right.set_yticks(places, [one["condition"] for one in rooms])
        right.axvline(rooms[0]["accuracy"], color="black", linewidth=1)
        right.set(xlim=(0, 1), xlabel="accuracy", title=_titled("measured rooms", rooms))
    for axes, there in ((left, noise), (right, rooms)):
        if not there:
            axes.set_axis_off()
    figures.save(figure, path)


def _titled(what: str, objects: list[dict[str, Any]]) -> str:
    part = f", one in {objects[0]['every']}" if objects[0].get("every", 1) > 1 else ""
    return f"{what} ({objects[0]['n']} clips{part})"


def _training(path: Path, history: Mapping[str, Any]) -> None:
    entries = history["history"]
    # Of a student, the epochs in which it listens to its teacher: the head, solved afterwards, has another loss.
    student = any("macro_f1" not in entry for entry in entries)
    if student:
        entries = [entry for entry in entries if "macro_f1" not in entry]
    epochs = [entry["epoch"] for entry in entries]
    figure, axes = figures.figure(6.5, 4)
    for key, title in (
        ("fit_loss", "error against the teacher, fit" if student else "loss, fit (mixup, smoothed labels)"),
        ("loss", f"{'error against the teacher' if student else 'loss'}, calibration speakers"),
        ("macro_f1", "macro F1, calibration speakers"),
    ):
        if all(key in entry for entry in entries):
            axes.plot(
                epochs,
                [entry[key] for entry in entries],
                marker="." if len(epochs) < 3 else None,
                label=title,
            )
    axes.set(xlabel="epoch", ylim=(0, None))
    axes.legend()
    figures.save(figure, path)
