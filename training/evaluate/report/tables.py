"""The same numbers for people: plain tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.evaluate.protocol_names import HOUSEHOLD
from training.evaluate.report import household_tables
from training.evaluate.report.grid import grid, percent

NUMBERS = (
    ("accuracy", "accuracy"), ("uar", "UAR"), ("macro_f1", "macro F1"), ("accuracy_restricted", "restricted"),
    ("accuracy_at_80_coverage", "surest 80 %"), ("coverage", "coverage"),
)  # fmt: skip
AT_HOME = {"called": "called", "named": "named", "kept": "kept", "kept_first": "kept, first 10"}
"""What two bundles are compared by in households, in words."""


def signed(points: float | None) -> str:
    """Format percentage points with their sign; None as an empty text."""
    return "" if points is None else f"{points:+.1f}"


def text(measured: Sequence[dict[str, Any]]) -> str:
    """Format the objects of one protocol as text tables with notes."""
    first = measured[0]
    if first["protocol"] == "false-alarms":
        return false_alarms(first)
    if first["protocol"] in household_tables.TEXTS:
        return household_tables.text(measured)
    parts = [overview(measured)]
    if first["protocol"] == "calibration":
        parts.append(bins(first))
    elif len(measured) == 1:
        parts += [labels(first), speakers(first)]
    if first.get("household"):
        parts.append(household(measured))
    parts += notes(first)
    return "\n\n".join(parts)


def overview(measured: Sequence[dict[str, Any]]) -> str:
    """Format one row of measures for each object as a table."""
    losses = any("loss" in one for one in measured)
    head = ["protocol", "clips", *(title for _, title in NUMBERS), "ECE", *(["loss"] if losses else [])]
    rows = []
    for one in measured:
        name = ", ".join(str(one[key]) for key in ("protocol", "condition") if one.get(key))
        if one.get("adapt"):
            name += f", adapted to the {one['adapt']}"
        row = [name, str(one["n"]), *(percent(one[key]) for key, _ in NUMBERS), f"{one['ece']:.3f}"]
        rows.append([*row, *([f"{one['loss']:+.1f}" if "loss" in one else ""] if losses else [])])
    return grid(head, rows)


def household(measured: Sequence[dict[str, Any]]) -> str:
    """Format what is named and kept in households of each condition as a table."""
    head, rows = household_rows(measured)
    return f"In rooms of 85 % neutral speech, with the baseline that was learnt there:\n\n{grid(head, rows)}"


def household_rows(measured: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table of households: one row for each condition."""
    sets = list(measured[0]["household"])
    head = ["condition", *(f"{name}, {key}" for name in sets for key in ("named", "kept"))]
    return head, [
        [
            one["condition"],
            *(percent(one["household"][name][key]) for name in sets for key in ("named", "kept")),
        ]
        for one in measured
    ]


def labels(one: dict[str, Any]) -> str:
    """Format precision, recall and F1 of each label that occurs as a table."""
    rows = [
        [label, str(round(entry["n"])), *(percent(entry[key]) for key in ("precision", "recall", "f1"))]
        for label in one["confusion"]["labels"]
        if (entry := one["per_class"].get(label))
    ]
    return grid(["label", "clips", "precision", "recall", "F1"], rows)


def speakers(one: dict[str, Any]) -> str:
    """Format the accuracy of each speaker as a table."""
    rows = [[name, str(entry["n"]), percent(entry["accuracy"])] for name, entry in one["per_speaker"].items()]
    return grid(["speaker", "clips", "accuracy"], rows)


def bins(one: dict[str, Any]) -> str:
    """Format the bins of the reliability diagram as a table."""
    rows = [
        [f"{entry['low']:.2f} to {entry['high']:.2f}", str(entry["n"]), percent(entry["confidence"]),
         percent(entry["accuracy"])]
        for entry in one["reliability"]
    ]  # fmt: skip
    title = (
        f"temperature {one['temperature']}, uncertain below {one['abstain_below']}; the surest 80 % are right "
        f"{one['gain_at_80_coverage']:+.1f} points more often\n"
    )
    return title + grid(["confidence", "clips", "mean confidence", "right"], rows)


def false_alarms(one: dict[str, Any]) -> str:
    """Format false alarms an hour and their bounds as a table."""
    rows = [
        [title, str(one[key]["count"]), f"{one[key]['per_hour']:.2f}", f"{one[key]['upper_95']:.2f}"]
        for key, title in (("all", "all events"), ("non_neutral", "neither neutral nor uncertain"))
    ]
    what = f"{one['hours']:g} hours without speech, of {one['recordings']} recordings, seed {one['seed']}"
    kinds = ", ".join(f"{kind} {count}" for kind, count in one["events"].items()) or "none"
    table = grid(["false alarms", "count", "an hour", "upper 95 % bound"], rows)
    return f"{one['bundle']}: {what}\n\n{table}\n\nevents: {kinds}\n{one['definition']}"


def notes(one: dict[str, Any]) -> list[str]:
    """Return the remarks without which the numbers of an object could be misread."""
    found = []
    if one.get("every", 1) > 1:
        found.append(f"Only one clip in {one['every']} was measured.")
    if "plain" in one and "gain" in one:
        found.append(
            f"Adapted: mean of {one['orders']} orders. Without adaptation: accuracy "
            f"{percent(one['plain']['accuracy'])}, so {one['gain']:+.1f} points."
        )
    if "mean_loss" in one:
        found.append(f"Mean loss over the conditions: {signed(one['mean_loss'])} points of accuracy.")
    if "same_decision" in one:
        found.append(
            f"{percent(one['same_decision'])} of the decisions are the same; loss in points against float."
        )
    return found


def comparison(found: dict[str, Any]) -> str:
    """Format the comparison of two bundles: the household protocols, then those of labelled clips."""
    parts = []
    at_home = [row for row in found["rows"] if row["protocol"] in HOUSEHOLD]
    labelled = [row for row in found["rows"] if row not in at_home]
    if at_home:
        head = ["protocol", "utterances", "speakers", "measure", "old", "new", "difference", "95 % interval"]
        parts.append(grid(head, [
            [_title(row), str(row["n"]), str(row["speakers"]), name, percent(row[measure]["old"]),
             percent(row[measure]["new"]), f"{row[measure]['difference']:+.1f}", _interval(row[measure])]
            for row in at_home for measure, name in AT_HOME.items() if measure in row
        ]))  # fmt: skip
    if labelled:
        head = ["protocol", "clips", "speakers", "macro F1 old", "new", "difference", "95 % interval"]
        parts.append(grid([*head, "accuracy", "95 % interval"], [
            [_title(row), str(row["n"]), str(row["speakers"]), percent(f1["old"]), percent(f1["new"]),
             f"{f1['difference']:+.1f}", _interval(f1), f"{row['accuracy']['difference']:+.1f}",
             _interval(row["accuracy"])]
            for row in labelled for f1 in [row["macro_f1"]]
        ]))  # fmt: skip
    parts.append(found["sentence"])
    if any(row["drawn"] == "clips" for row in found["rows"]):
        parts.append("Of one speaker only, clips were drawn: the interval says nothing about other speakers.")
    return "\n\n".join(parts)


def _title(row: dict[str, Any]) -> str:
    return f"{row['protocol']}, {row['condition']}" if row["condition"] else str(row["protocol"])


def _interval(one: dict[str, float]) -> str:
    return f"{one['low_95']:+.1f} to {one['high_95']:+.1f}"
