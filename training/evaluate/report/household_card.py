"""The part of a model card that comes first: how the bundle does in a household, each table with its command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.protocol import LABELS
from training.evaluate.report.household_tables import arousal_rows, baseline_rows, in_ordinary, length

Found = Mapping[str, list[dict[str, Any]]]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def _command(protocol: str, bundle: str) -> str:
    return f"`roomtone train evaluate --protocol {protocol} --bundle {bundle} --data DATA --json`"


def _interval(one: dict[str, Any]) -> str:
    return f"{_percent(one['low_95'])} to {_percent(one['high_95'])}"


def section(found: Found, bundle: str) -> list[str]:
    """Return the paragraphs and tables of the model card about the household protocols that were measured."""
    parts = []
    for protocol, make in (("ordinary", _ordinary), ("household", _household), ("episodes", _episodes),
                           ("arousal", _arousal), ("one-emotion", _one_emotion)):  # fmt: skip
        if protocol in found:
            parts += [*make(found[protocol]), _command(protocol, bundle)]
    return parts


def _ordinary(measured: list[dict[str, Any]]) -> list[str]:
    one = measured[0]
    rows = [
        [name, str(source["utterances"]), _percent(source["called"]), _interval(source),
         _percent(source["called_from_first"]), _percent(source["called_without_baseline"])]
        for name, source in one["sources"].items()
    ]  # fmt: skip
    rows.append(["**pooled, without synthetic**", str(one["n"]), f"**{_percent(one['called'])}**", _interval(one),
                 _percent(one["called_from_first"]), _percent(one["called_without_baseline"])])  # fmt: skip
    an_hour = one["called_an_hour"]
    return [
        "### Ordinary speech that is called an emotion\n\nSpeech that was not acted, of speakers that no training "
        "heard, cut by the device's own parts;\neach source is a room, and counts after 20 utterances.",
        _table(
            ["source", "utterances", "called an emotion", "95 % interval", "from the first utterance",
             "without a baseline"], rows
        ),
        *([] if an_hour is None else [f"Pooled, that is {an_hour:.0f} in an hour of speech."]),
        "Speech of a source that neither head nor constants have heard: `--protocol ordinary-left-out --run RUN`; "
        "results in\n`docs/model`.",
        "By length of speech:",
        _table(["length", "utterances", "called an emotion"], [
            [length(entry), str(entry["n"]), _percent(entry["called"])] for entry in one["by_length"]
        ]),
    ]  # fmt: skip


def _household(measured: list[dict[str, Any]]) -> list[str]:
    rows = [
        [one["set"], _percent(one["neutral_share"]), _percent(one["named"]["share"]), _interval(one["named"]),
         _percent(one["kept"]["share"]), _interval(one["kept"]), f"{one['ece']:.3f}"]
        for one in measured
    ]  # fmt: skip
    first = measured[0]["neutral_share"]
    labels = [
        [one["set"], f"`{label}`", _percent(entry["recall"]), _percent(entry["precision"])]
        for one in measured if one["neutral_share"] == first
        for label in LABELS if (entry := one["per_class"].get(label))
    ]  # fmt: skip
    return [
        "### Households\n\nRooms where most of what is said is neutral, of speakers that no training heard, with a "
        "causal baseline.\nRightly named: of emotional utterances. Kept: neutral ones called `neutral` or "
        "`uncertain`.",
        _table(
            ["set", "neutral", "rightly named", "95 % interval", "neutral kept", "95 % interval", "ECE"], rows
        ),
        "What the baseline does, and how soon: neutral kept by the number of the utterance in its room.",
        _table(*baseline_rows(measured)),
        f"Each label where {_percent(first)} is neutral:",
        _table(["set", "label", "recall", "precision"], labels),
        "By length of speech:",
        _table(["set", "length", "rightly named", "neutral kept"], [
            [one["set"], length(entry), _percent(entry["named"]), _percent(entry["kept"])]
            for one in measured if one["neutral_share"] == first for entry in one["by_length"]
        ]),
    ]  # fmt: skip


def _episodes(measured: list[dict[str, Any]]) -> list[str]:
    rows = [
        [one["set"], _percent(one["found"]), _interval(one), f"{one['false_per_1000']:.1f}",
         f"{one['false_at_start']:.1f}", _percent(one["found_at_1"]), _percent(one["found_at_5"]),
         _percent(one["by_emotion"].get("angry"))]
        for one in measured
    ]  # fmt: skip
    usual = measured[0]["ordinary"]
    return [
        "### Episodes\n\nTen utterances, six of one agitated emotion and four neutral, after 60 ordinary ones: found "
        "before the tenth has ended.",
        _table(
            [
                "set",
                "found",
                "95 % interval",
                "false in 1,000",
                "in a room's first 60",
                "found at 1 false",
                "found at 5 false",
                "angry",
            ],
            rows,
        ),
        *([] if usual is None else [in_ordinary(usual)]),
    ]


def _arousal(measured: list[dict[str, Any]]) -> list[str]:
    rows = [
        [one["set"], f"{one['auc']:.3f}", f"{one['low_95']:.3f} to {one['high_95']:.3f}",
         f"{one['auc_against_neutral']:.3f}",
         "-" if one["auc_against_ordinary"] is None else f"{one['auc_against_ordinary']:.3f}"]
        for one in measured
    ]  # fmt: skip
    return [
        "### Arousal\n\nArea under the curve of agitated speech (angry, happy, fearful, surprised) against calm "
        "(neutral, sad).",
        _table(["set", "AUC", "mean of speakers, 95 %", "against neutral", "against ordinary"], rows),
        "What a published arousal means: how often speech was agitated where 85 % is neutral, and the share of "
        "ordinary speech that has it.",
        _table(*arousal_rows(measured)),
    ]


def _one_emotion(measured: list[dict[str, Any]]) -> list[str]:
    one = measured[0]
    interval = f"95 %: {one['loss_low_95']:+.1f} to {one['loss_high_95']:+.1f}"
    return [
        f"### One emotion for a day\n\n{one['length']} utterances of one label after {one['before']} ordinary ones: "
        f"{one['loss']:+.1f} points are lost ({interval}), as the room\nbecomes its own normal (worst: "
        f"{one['worst']['label']} of {one['worst']['room']}, {one['worst']['loss']:+.1f}); from the first minute "
        f"{one['loss_from_first']:+.1f}."
    ]
