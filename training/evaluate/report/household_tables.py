"""The numbers of the household protocols as plain tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.protocol import LABELS
from training.evaluate.household.ordinary import SYNTHETIC
from training.evaluate.report.grid import grid, percent


def text(measured: Sequence[dict[str, Any]]) -> str:
    """Format the objects of a household protocol (`protocol_names.HOUSEHOLD`), or of `vad`, as a text table."""
    return TEXTS[measured[0]["protocol"]](measured)


def between(one: dict[str, Any]) -> str:
    """Format the 95 % interval of an object."""
    return f"{percent(one['low_95'])} to {percent(one['high_95'])}"


def _optional(value: float | None) -> str:
    return "" if value is None else percent(value)


def ordinary(measured: Sequence[dict[str, Any]]) -> str:
    """Format how often ordinary speech is called an emotion, by source and by length, as tables."""
    first = measured[0]
    head = ["source", "utterances", "called an emotion", "95 % interval", "from the first", "without a baseline",
            "uncertain"]  # fmt: skip
    rows = [
        [name, str(one["utterances"]), percent(one["called"]), between(one), percent(one["called_from_first"]),
         percent(one["called_without_baseline"]), percent(one["uncertain"])]
        for name, one in first["sources"].items()
    ]  # fmt: skip
    rows.append(["pooled", str(first["n"]), percent(first["called"]), between(first),
                 percent(first["called_from_first"]), percent(first["called_without_baseline"]), ""])  # fmt: skip
    an_hour = first["called_an_hour"]
    lengths = [[length(one), str(one["n"]), percent(one["called"])] for one in first["by_length"]]
    return (
        f"{first['bundle']}, ordinary speech, each source a room (synthetic voices are not in the pooled share)\n\n"
        + grid(head, rows) + "\n\n"
        + ("" if an_hour is None else f"pooled, {an_hour:.0f} in an hour of speech\n\n")
        + grid(["length", "utterances", "called an emotion"], lengths)
    )  # fmt: skip


def ordinary_left_out(measured: Sequence[dict[str, Any]]) -> str:
    """Format how often ordinary speech of sources that were left out is called an emotion, as a table."""
    first = measured[0]
    head = ["left out", "utterances", "called an emotion", "95 % interval", "from the first", "95 % interval"]
    rows = [
        [name, str(one["utterances"]), percent(one["called"]), between(one), percent(one["called_from_first"]),
         f"{percent(one['from_first_low_95'])} to {percent(one['from_first_high_95'])}"]
        for name, one in first["sources"].items()
    ]  # fmt: skip
    rows.append(["all utterances", str(first["n"]), percent(first["called"]), "",
                 percent(first["called_from_first"]), ""])  # fmt: skip
    title = f"{first['run']}, ordinary speech of a source that neither head nor constants have heard\n\n"
    return title + grid(head, rows)


def household(measured: Sequence[dict[str, Any]]) -> str:
    """Format the objects of the protocol `household` as four tables.

    They are: emotions rightly named and neutral speech kept, by set and share of neutral speech; how soon the baseline
    is good; recall and precision of each label; named and kept by length.
    """
    head = ["set", "neutral", "rightly named", "95 % interval", "neutral kept", "95 % interval", "ECE"]
    rows = [
        [one["set"], percent(one["neutral_share"]), percent(one["named"]["share"]), between(one["named"]),
         percent(one["kept"]["share"]), between(one["kept"]), f"{one['ece']:.3f}"]
        for one in measured
    ]  # fmt: skip
    labels = [
        [one["set"], label, percent(entry["recall"]), _optional(entry["precision"])]
        for one in measured if one["neutral_share"] == measured[0]["neutral_share"]
        for label in LABELS if (entry := one["per_class"].get(label))
    ]  # fmt: skip
    lengths = [
        [one["set"], length(entry), _optional(entry["named"]), _optional(entry["kept"])]
        for one in measured if one["neutral_share"] == measured[0]["neutral_share"] for entry in one["by_length"]
    ]  # fmt: skip
    return "\n\n".join([
        grid(head, rows), "neutral kept, by the number of the utterance in its room\n" + grid(*baseline_rows(measured)),
        grid(["set", "label", "recall", "precision"], labels),
        grid(["set", "length", "rightly named", "neutral kept"], lengths),
    ])  # fmt: skip


def baseline_rows(measured: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table: named and kept without a baseline, and kept by position, at the first share."""
    own = [one for one in measured if one["neutral_share"] == measured[0]["neutral_share"]]
    positions = [f"{entry['from'] + 1} to {entry['to']}" for entry in own[0]["kept_by_position"]]
    head = ["set", "without a baseline: named", "kept", *(f"kept, {place}" for place in positions)]
    return head, [
        [one["set"], percent(one["without_baseline"]["named"]), percent(one["without_baseline"]["kept"]),
         *(_optional(entry["share"]) for entry in one["kept_by_position"])]
        for one in own
    ]  # fmt: skip


def length(entry: dict[str, Any]) -> str:
    """Format a range of lengths in seconds."""
    return f"{entry['from_ms'] / 1000:g} to {entry['to_ms'] / 1000:g} s"


def episodes(measured: Sequence[dict[str, Any]]) -> str:
    """Format found and false episodes, by set and by emotion, as a table."""
    head = ["set", "found", "95 % interval", "false in 1,000", "in the first 60", "found at 1", "found at 5"]
    rows = [
        [one["set"], percent(one["found"]), between(one), f"{one['false_per_1000']:.1f}",
         f"{one['false_at_start']:.1f}",
         percent(one["found_at_1"]), percent(one["found_at_5"])]
        for one in measured
    ]  # fmt: skip
    usual = measured[0]["ordinary"]
    by = [
        [one["set"], label, percent(share)] for one in measured for label, share in one["by_emotion"].items()
    ]
    found = [grid(head, rows), grid(["set", "emotion", "found"], by)]
    return "\n\n".join(found if usual is None else [*found, in_ordinary(usual)])


def in_ordinary(usual: dict[str, Any]) -> str:
    """Say how many episodes start in speech that was not acted."""
    people = {name: rate for name, rate in usual["sources"].items() if name != SYNTHETIC}
    each = ", ".join(f"{name} {rate:.1f}" for name, rate in people.items())
    mean = usual["false_per_1000"]
    rate = "-" if mean is None else f"{mean:.1f}"
    return (
        f"In 1,000 utterances of ordinary speech {rate} episodes start, as shipped (mean of the sources without "
        f"synthetic voices: {each})."
    )


def arousal_rows(measured: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table: by level of the published arousal, how often speech was agitated."""
    head = ["arousal", *(one["set"] for one in measured), "of ordinary speech"]
    return head, [
        [f"{entry['from']:g} to {entry['to']:g}",
         *(_optional(one["by_arousal"][place]["agitated"]) for one in measured), _optional(entry["ordinary"])]
        for place, entry in enumerate(measured[0]["by_arousal"])
    ]  # fmt: skip


def arousal(measured: Sequence[dict[str, Any]]) -> str:
    """Format areas under the ROC curve by set, and what a published arousal means, as two tables."""
    head = [
        "set",
        "AUC, high against low",
        "mean of speakers, 95 % interval",
        "against neutral",
        "against ordinary",
    ]
    areas = grid(head, [
        [one["set"], f"{one['auc']:.3f}", f"{one['low_95']:.3f} to {one['high_95']:.3f}",
         f"{one['auc_against_neutral']:.3f}",
         "" if one["auc_against_ordinary"] is None else f"{one['auc_against_ordinary']:.3f}"]
        for one in measured
    ])  # fmt: skip
    return (
        areas + "\n\nagitated, by published arousal, where 85 % is neutral\n" + grid(*arousal_rows(measured))
    )


def one_emotion(measured: Sequence[dict[str, Any]]) -> str:
    """Format what 200 utterances of one label in a row cost as a table."""
    first = measured[0]
    head = ["label", "baseline fixed", "learning", "loss", "from the first minute", "loss"]
    rows = [
        [label, percent(one["fixed"]), percent(one["learning"]), f"{one['loss']:+.1f}", percent(one["from_first"]),
         f"{one['loss_from_first']:+.1f}"]
        for label, one in [*first["per_label"].items(), ("mean", first)]
    ]  # fmt: skip
    title = (
        f"{first['length']} utterances of one label after {first['before']} ordinary ones, rightly named\n"
    )
    interval = f"{first['loss_low_95']:+.1f} to {first['loss_high_95']:+.1f}"
    return title + grid(head, rows) + f"\n\n95 % interval of the mean loss, over speakers: {interval} points"


def vad(measured: Sequence[dict[str, Any]]) -> str:
    """Format misses and false alarms of the voice activity detection as a table."""
    one = measured[0]
    rows = [
        [
            "speech that is missed",
            percent(one["miss"]),
            " to ".join(percent(value) for value in one["miss_95"]),
        ],
        [
            "the rest, heard as speech",
            percent(one["false"]),
            " to ".join(percent(v) for v in one["false_95"]),
        ],
    ]
    settings = (
        f"onset {one['onset']}, offset {one['offset']}, pre-roll {one['pre_roll_ms']} ms, hang-over "
        f"{one['hang_over_ms']} ms"
    )
    return (
        f"{one['n']} recordings, {settings}\n\n" + grid(["", "share", "95 % interval"], rows)
        + f"\n\n{one['heard_min']} of {one['speech_min']} minutes of speech are heard"
    )  # fmt: skip


TEXTS = {
    "ordinary": ordinary, "household": household, "episodes": episodes, "arousal": arousal,
    "one-emotion": one_emotion, "vad": vad, "ordinary-left-out": ordinary_left_out,
}  # fmt: skip
