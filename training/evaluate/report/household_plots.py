"""The pictures of the household protocols, one for each: by source, by set, by threshold, by arousal, by label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluate.report.figures import figure, save

Measured = Mapping[str, list[dict[str, Any]]]
NOTES = {
    "ordinary.png": "how often ordinary speech is called an emotion, by source",
    "household.png": "emotions rightly named and neutral kept, in rooms of mostly neutral speech",
    "episodes.png": "episodes found against false ones",
    "arousal.png": "how well arousal tells agitated from calm, and how often speech of an arousal was agitated",
    "one-emotion.png": "what 200 utterances of one emotion in a row cost, label by label",
}


def draw(folder: Path, measured: Measured) -> None:
    """Write the plots of the household protocols that were measured into `folder`."""
    for protocol, make in (("ordinary", _ordinary), ("household", _household), ("episodes", _episodes),
                           ("arousal", _arousal), ("one-emotion", _one_emotion)):  # fmt: skip
        if measured.get(protocol):
            make(folder / f"{protocol}.png", measured[protocol])


def _ordinary(path: Path, measured: list[dict[str, Any]]) -> None:
    one = measured[0]
    rows = [*one["sources"].items(), ("pooled", one)]
    shares = np.array([row["called"] for _, row in rows])
    errors = np.array([[row["called"] - row["low_95"], row["high_95"] - row["called"]] for _, row in rows]).T
    made, axes = figure(6.5, 0.45 * len(rows) + 1.3)
    places = np.arange(len(rows))[::-1]
    colours = ["tab:blue"] * (len(rows) - 1) + ["black"]
    axes.barh(places, shares, xerr=np.maximum(errors, 0.0), color=colours, ecolor="grey", capsize=3)
    axes.set_yticks(places, [f"{name} ({row.get('utterances', row.get('n'))})" for name, row in rows])
    axes.set(xlim=(0, max(0.25, float(shares.max()) * 1.2)), xlabel="share called an emotion")
    axes.set_title(f"{one['bundle']}: ordinary speech (utterances), 95 % intervals over speakers")
    save(made, path)


def _household(path: Path, measured: list[dict[str, Any]]) -> None:
    sets = sorted({one["set"] for one in measured})
    shares = sorted({one["neutral_share"] for one in measured})
    made, axes = figure(9, 4.0, columns=2)
    width = 0.8 / len(shares)
    for each, key, title in zip(
        axes, ("named", "kept"), ("emotions rightly named", "neutral kept"), strict=True
    ):
        for number, share in enumerate(shares):
            found = {one["set"]: one[key] for one in measured if one["neutral_share"] == share}
            values = np.array([found[name]["share"] for name in sets])
            low, high = (np.array([found[name][side] for name in sets]) for side in ("low_95", "high_95"))
            each.bar(
                np.arange(len(sets)) + width * (number - (len(shares) - 1) / 2), values, width,
                yerr=np.maximum([values - low, high - values], 0.0), capsize=2, label=f"{share:.0%} neutral",
            )  # fmt: skip
        each.set_xticks(range(len(sets)), sets)
        each.set(ylim=(0, 1), title=title)
    axes[0].legend(fontsize="small")
    save(made, path)


def _episodes(path: Path, measured: list[dict[str, Any]]) -> None:
    made, axes = figure(6.5, 4.2)
    for one in measured:
        # Zero has no place on a logarithmic axis: where nothing was false, the rate is below one in all that was heard.
        rates = [max(0.05, point["false_per_1000"]) for point in one["curve"]]
        (line,) = axes.plot(rates, [point["found"] for point in one["curve"]], label=one["set"])
        axes.scatter([max(0.05, one["false_per_1000"])], [one["found"]], color=line.get_color(), zorder=3)
    axes.set_xscale("log")
    axes.set(xlabel="false episodes in 1,000 ordinary utterances", ylabel="episodes found", ylim=(0, 1.02))
    axes.set_title(f"{measured[0]['bundle']}: episodes by threshold (dot: as shipped)")
    axes.legend(loc="lower right")
    save(made, path)


def _arousal(path: Path, measured: list[dict[str, Any]]) -> None:
    made, axes = figure(9, 4.0, columns=2)
    sets = [one["set"] for one in measured]
    means = np.array(
        [one["auc"] if one["mean_of_speakers"] is None else one["mean_of_speakers"] for one in measured]
    )
    low, high = (np.array([one[side] for one in measured]) for side in ("low_95", "high_95"))
    errors = np.maximum([means - low, high - means], 0.0)
    axes[0].errorbar(
        np.arange(len(sets)), means, yerr=errors, fmt="o", capsize=3, label="mean of speakers, 95 %"
    )
    axes[0].scatter(
        np.arange(len(sets)), [one["auc"] for one in measured], marker="x", color="black", label="all"
    )
    axes[0].set_xticks(range(len(sets)), sets)
    axes[0].set(
        xlim=(-0.5, len(sets) - 0.5), ylim=(0.5, 1.01), title="area under the curve, agitated against calm"
    )
    axes[0].legend(fontsize="small", loc="lower right")
    for one in measured:
        rows = [row for row in one["by_arousal"] if row["agitated"] is not None]
        middles = [(row["from"] + row["to"]) / 2 for row in rows]
        axes[1].plot(middles, [row["agitated"] for row in rows], marker="o", label=one["set"])
    rows = [row for row in measured[0]["by_arousal"] if row["ordinary"] is not None]
    if rows:
        widths = [row["to"] - row["from"] for row in rows]
        axes[1].bar(
            [row["from"] for row in rows], [row["ordinary"] for row in rows], widths, align="edge", color="lightgrey",
            label="share of ordinary speech",
        )  # fmt: skip
    axes[1].set(xlim=(-1, 1), ylim=(0, 1.02), xlabel="published arousal", title="how often it was agitated")
    axes[1].legend(fontsize="small", loc="upper left")
    save(made, path)


def _one_emotion(path: Path, measured: list[dict[str, Any]]) -> None:
    one = measured[0]
    rows = [*one["per_label"].items(), ("mean", one)]
    made, axes = figure(7.5, 4.0)
    for number, (key, title) in enumerate(
        (("fixed", "baseline of ordinary speech"), ("learning", "after 500 ordinary ones"),
         ("from_first", "from the first minute"))
    ):  # fmt: skip
        axes.bar(np.arange(len(rows)) + 0.27 * (number - 1), [row[key] for _, row in rows], 0.27, label=title)
    axes.set_xticks(range(len(rows)), [name for name, _ in rows])
    interval = f"{one['loss_low_95']:+.1f} to {one['loss_high_95']:+.1f}"
    axes.set(ylim=(0, 1), ylabel="rightly named")
    axes.set_title(f"{one['bundle']}: 200 of one label, loss {one['loss']:+.1f} points (95 %: {interval})")
    axes.legend(fontsize="small")
    save(made, path)
