"""The text of MODEL_CARD.md, from the manifest's facts and the measured numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.protocol import LABELS
from training.evaluate.report import household_card, plots
from training.evaluate.report.tables import household_rows
from training.recipes.recipe import WHISPER_UNITS, Recipe, Student

HEAD = """\
# {name}

**Licence of these weights: CC BY-NC-SA 4.0** (not for commercial use; derived works under the same licence),
because the recordings they were made from are under it.
{origin}

**Intended use:** a private room or a study whose occupants know of it and agree; feedback about the tone in which
something was said. **Not for** inferring the emotions of people at work or in education: the EU AI Act, Art. 5(1)(f),
forbids it. People in the room must be told (Art. 50(3)). Not for decisions about a person, nor as a medical or
safety device.

## What it is

{architecture},
an embedding of {embedding} and a linear output of {labels} labels{relation}:
{label_list}.
`calm` counts as neutral.
{kernels}; {megabytes:.1f} MB.
Input: log-mel features of 3 s (`edge/inference/features.py`) and a mask of valid tokens.

## How it was made

`roomtone train fit --recipe {recipe} --data DATA --out RUN{start}`, seed {seed}:
{course},
Keras {keras} on {backend}{where}.
`roomtone train export --run RUN --data DATA --version {version}` made this folder.
The disjoint lists of speakers are in `training/data/splits.toml` and `training/data/ordinary_test_speakers.txt`: the
weights come from `fit` and from ordinary speech; {calibration}.
The numbers below are of speakers that were in no training. {shipped}

| corpus | used for | licence |
|---|---|---|
{corpora}
"""

KERNELS = {
    "dynamic-int8": "int8 weights and int8 matrix products (dynamic range)",
    "full-int8": "int8 throughout, weights and activations; loads in tflite-runtime 2.14 and in LiteRT,\n"
    "whose reference kernels give the same bits",
}
ORIGIN = {
    "whisper": "The encoder they started from (openai/whisper-base) is MIT.",
    "student": "What they learnt from, and their first two convolutions (openai/whisper-base), are MIT.",
}


def start_of(notes: Mapping[str, Any]) -> str:
    """Return the name of the file of weights that a run began with, `fit --from FILE`; empty where there was none."""
    name = Path(str(notes.get("from", ""))).name
    return name if name.endswith(".npz") else ""


def architecture(recipe: Recipe, start: str = "") -> str:
    """Describe the network of a recipe in words; `start` is the file of weights that the run began with."""
    if recipe.architecture == "student":
        sizes = recipe.student or Student()
        return (
            f"The two convolutions of Whisper base as they came, and {sizes.blocks} residual blocks of convolutions "
            f"({sizes.width} channels);\nmean and mean absolute deviation over time, principal components of these"
        )
    tuned = "as they came" if recipe.freeze >= recipe.layers else "fine-tuned"
    if start:
        tuned = f"as {start} has them"
    units = f" with {recipe.feed_forward:,} of {WHISPER_UNITS:,} units each" if recipe != recipe.wide else ""
    return (
        f"The first {recipe.layers} layers of the encoder of Whisper base{units}, {tuned};\nmean and deviation over "
        f"time of layers {recipe.first_pooled} to {recipe.layers}, principal components of these"
    )


def course(recipe: Recipe, start: str = "") -> str:
    """Describe in words how the weights of a recipe were found; `start` as in `architecture`."""
    parts = []
    if recipe.distil is not None and not recipe.epochs and start:
        parts.append(f"the student as {start} has it")
    elif recipe.distil is not None:
        parts.append(
            f"{recipe.epochs} epochs of {recipe.draws} clips, batch {recipe.batch}, of learning to predict layer "
            f"{recipe.distil.layers} of Whisper base"
        )
    if recipe.probe is not None:
        parts.append(
            f"the head solved on {recipe.probe.rounds} rounds of every clip, one clean, the others varied"
        )
    if recipe.epochs and recipe.distil is None:
        parts.append(f"{recipe.epochs} epochs of {recipe.draws} clips, batch {recipe.batch}")
    return ",\nthen ".join(parts)


def shipped(recipe: Recipe, epoch: int) -> str:
    """Describe which epoch's weights were taken, and why."""
    if not recipe.epochs or recipe.distil is not None:
        return (
            "No weight and no constant was fitted to them; which of\nseveral trainings and rules is shipped was "
            "decided with their figures in view, EMOVO's too (`docs/decisions`)."
        )
    chosen = "the last: none was picked by a score" if epoch == recipe.epochs else "chosen on `calibrate`"
    return f"Epoch {epoch} of {recipe.epochs} is shipped, {chosen}."


LIMITS = """\
## Limits

- What it can tell is **arousal in relation to how a room usually sounds**. Which emotion it is, it can tell less well,
  and in another language hardly: see the precision of each label. `sad` is seldom told from ordinary speech.
- A room that is angry all day becomes its own normal.
- The labels come from **acted** speech of {fit_speakers} people, {languages}.
  Real emotions are mixed and mild.
- `disgust` and `sad` are of their corpora more than of disgust and sadness: see their recall in sets that training
  never heard (`emovo`, and `tess` where it was measured).
- Only RAVDESS has `disgust`: that label rests on {disgust} recordings of {disgust_speakers} people.
- Unseen speakers differ widely: `plots/speakers.png`, where there is one.
- False alarms were counted with recordings of appliances, taps and noise, not with television, music or animals.
- Speech of less than {min_ms} ms is `uncertain` and has no arousal.
"""


def percent(value: float) -> str:
    """Format a share as a percentage: 0.8173 as `81.7 %`."""
    return f"{100 * value:.1f} %"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _command(protocol: str, bundle: str, options: str = "") -> str:
    return f"`roomtone train evaluate --protocol {protocol} --bundle {bundle} --data DATA{options} --json`"


def table(measured: Sequence[dict[str, Any]]) -> str:
    """Format the measured objects of a protocol as a Markdown table, one row each."""
    head = [
        "protocol",
        "clips",
        "accuracy",
        "UAR",
        "macro F1",
        "ECE",
        "accuracy of the surest 80 %",
        "coverage",
    ]
    rows = []
    for one in measured:
        name = one["protocol"] + (f", adapted to the {one['adapt']}" if one.get("adapt") else "")
        shares = [percent(one[key]) for key in ("accuracy", "uar", "macro_f1")]
        rest = [f"{one['ece']:.3f}", percent(one["accuracy_at_80_coverage"]), percent(one["coverage"])]
        rows.append([name, str(one["n"]), *shares, *rest])
    return _grid(head, rows)


def per_class(one: dict[str, Any]) -> str:
    """Format precision, recall and F1 of each label as a Markdown table."""
    rows = []
    for label in LABELS:
        if label in one["per_class"]:
            entry = one["per_class"][label]
            rows.append(
                [label, str(entry["n"]), *(percent(entry[key]) for key in ("precision", "recall", "f1"))]
            )
    return _grid(["label", "clips", "precision", "recall", "F1"], rows)


def _main(found: Mapping[str, list[dict[str, Any]]], bundle: str) -> str:
    names = ("held-out", "held-out, adapted", "unseen-language", "unseen-language, adapted")
    measured = [found[name][0] for name in names if name in found]
    parts = [table(measured), _command("held-out", bundle) + " and `unseen-language`"]
    if any(one.get("adapt") for one in measured):
        parts[-1] += "; adapted: `--adapt baseline` (causal, each corpus one room, mean of five orders)"
    parts[-1] += ". Coverage: the share that is not `uncertain`."
    parts.append(f"Each label (held-out):\n\n{per_class(found['held-out'][0])}")
    return "\n\n".join(parts)


def _conditions(found: Mapping[str, list[dict[str, Any]]], bundle: str) -> list[str]:
    parts = []
    for protocol, what in (("noise", "recorded noise"), ("reverberation", "measured rooms")):
        if protocol not in found:
            continue
        objects = found[protocol]
        every = objects[0]["every"]
        rows = [
            [one["condition"], percent(one["accuracy"]), percent(one["macro_f1"]), f"{one['loss']:+.1f}"]
            for one in objects
        ]
        caption = f"Held-out speakers in {what} that were in no training"
        caption += (
            f", one clip in {every} ({objects[0]['n']}):" if every > 1 else f" ({objects[0]['n']} clips):"
        )
        options = f" --every {every}" if every > 1 else ""
        parts += [caption, _grid([protocol, "accuracy", "macro F1", "loss of accuracy in points"], rows)]
        parts.append(
            f"Mean loss: {objects[0]['mean_loss']:+.1f} points. " + _command(protocol, bundle, options)
        )
        if objects[0].get("household"):
            parts.append(
                "The same clips in rooms of 85 % neutral speech, with the baseline that was learnt there:"
            )
            parts.append(_grid(*household_rows(objects)))
    return parts


def _false_alarms(one: dict[str, Any], bundle: str) -> list[str]:
    rows = [
        [title, str(one[key]["count"]), f"{one[key]['per_hour']:.2f}", f"{one[key]['upper_95']:.2f}"]
        for key, title in (("all", "all events"), ("non_neutral", "neither `neutral` nor `uncertain`"))
    ]
    return [
        f"False alarms in {one['hours']:g} hours without speech, mixed of {one['recordings']} recordings that no "
        "training heard, through voice activity detector, segmenter and classifier:",
        _grid(["", "count", "an hour", "upper 95 % bound"], rows),
        _command("false-alarms", bundle, f" --hours {one['hours']:g}"),
    ]


def numbers(found: Mapping[str, list[dict[str, Any]]], bundle: str) -> str:
    """Return the model card's section of measured numbers, each table with the command that measures it."""
    parts = household_card.section(found, bundle)
    if "held-out" in found:
        title = "### Acted speech, label by label\n\nBy argmax, where all labels are equally likely."
        parts += [title, _main(found, bundle)]
    if "calibration" in found:
        one = found["calibration"][0]
        parts.append(
            f"Confidence: expected calibration error {one['ece']:.3f} (15 bins); the surest 80 % are right "
            f"{one['gain_at_80_coverage']:+.1f} points more often. {_command('calibration', bundle)}"
        )
    parts += _conditions(found, bundle)
    if "false-alarms" in found:
        parts += _false_alarms(found["false-alarms"][0], bundle)
    return "\n\n".join(parts) + "\n"


def text(
    facts: dict[str, Any], found: Mapping[str, list[dict[str, Any]]], drawn: Sequence[str], notes: str = ""
) -> str:
    """Return the whole model card; `facts` fills the templates above, `drawn` are the names of the plots."""
    pictures = "\n".join(f"- `plots/{name}`: {plots.NOTES[name]}" for name in drawn)
    parts = [
        HEAD.format(**facts),
        f"## Numbers\n\nThe bundle itself, int8, through {facts['runtime']}, nothing left out.\n",
        numbers(found, facts["name"]),
        notes,
        f"## Pictures\n\n{pictures}\n" if drawn else "",
        LIMITS.format(**facts),
    ]
    return "\n".join(part for part in parts if part)
