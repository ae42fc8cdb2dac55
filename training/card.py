"""The text of MODEL_CARD.md, from the manifest's facts and the measured numbers."""

from __future__ import annotations

from typing import Any

from edge.contract import LABELS

HEAD = """\
# {name}

**Licence of these weights: CC BY-NC-SA 4.0** (not for commercial use; derived works under the same licence),
because the recordings they were made from are under it. The encoder they started from (openai/whisper-base) is MIT.

**Intended use:** a private room or a study whose occupants know of it and agree; feedback about the tone in which
something was said. **Not for** inferring the emotions of people at work or in education: the EU AI Act, Art. 5(1)(f),
forbids it. People in the room must be told (Art. 50(3)). Not for decisions about a person, nor as a medical or
safety device.

## What it is

The first {layers} layers of the encoder of Whisper base, fine-tuned, with a learned average over layers,
attentive mean and deviation over time, an embedding of {embedding} and a linear output of {labels} labels:
{label_list}.
`calm` counts as neutral.
{kernels}; {megabytes:.1f} MB. Input: log-mel features of 3 s (`edge/model/features.py`) and a mask of valid tokens.

## How it was made

`roomtone train fit --recipe {recipe} --data DATA --out RUN`, seed {seed}: {epochs} epochs of {draws} clips,
batch {batch}, Keras {keras} on {backend}{where}.
`roomtone train export --run RUN --data DATA --version {version}` made this folder.
The three disjoint lists of speakers are in `training/splits.toml`: the weights come from `fit`;
temperature {temperature} and threshold {threshold} from `calibrate`; the numbers below
from speakers that were in neither. Epoch {epoch} of {epochs} is shipped{chosen}.

| corpus | used for | licence |
|---|---|---|
{corpora}
"""

LIMITS = """\
## Limits

- Strangers differ widely: `plots/speakers.png`.
- It was trained on **acted** speech of {fit_speakers} people, {languages}.
  Real, mixed and mild moods are harder than acted ones.
- Only RAVDESS has `disgust`: that label rests on {disgust} recordings of {disgust_speakers} people.
- A stranger in a language it never heard is where it is weakest: see the table. Confidence is calibrated on the corpora
  it knows and is too high elsewhere.
- {min_ms} ms is the shortest speech that it says anything about; below its threshold it says `uncertain`.
"""


def percent(value: float) -> str:
    """`0.8173` as `81.7 %`."""
    return f"{100 * value:.1f} %"


def table(measured: list[dict[str, Any]]) -> str:
    """One row per protocol."""
    lines = [
        "| protocol | clips | accuracy | UAR | macro F1 | ECE | accuracy of the surest 80 % | coverage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        cells = [
            one["protocol"],
            str(one["n"]),
            percent(one["accuracy"]),
            percent(one["uar"]),
            percent(one["macro_f1"]),
        ]
        cells += [f"{one['ece']:.3f}", percent(one["accuracy_at_80_coverage"]), percent(one["coverage"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def per_class(one: dict[str, Any]) -> str:
    """Precision, recall and F1 of each label."""
    lines = ["| label | clips | precision | recall | F1 |", "|---|---|---|---|---|"]
    for label in LABELS:
        if label in one["per_class"]:
            entry = one["per_class"][label]
            values = " | ".join(percent(entry[key]) for key in ("precision", "recall", "f1"))
            lines.append(f"| {label} | {entry['n']} | {values} |")
    return "\n".join(lines)


def text(facts: dict[str, Any], measured: list[dict[str, Any]], notes: str = "") -> str:
    """The whole card; `facts` fills the templates above."""
    parts = [HEAD.format(**facts)]
    parts.append(
        "## Numbers\n\nThe bundle itself, int8, through "
        + facts["runtime"]
        + ", by argmax, nothing left out (coverage: the share\nthat is not `uncertain`):\n"
    )
    parts.append(table(measured) + "\n")
    parts.append("Each row: `roomtone train evaluate --protocol NAME --bundle THIS --data DATA --json`.\n")
    parts.append(notes)
    parts.append(f"Held-out speakers, each label ({measured[0]['protocol']}):\n\n{per_class(measured[0])}\n")
    parts.append(
        "Pictures: `plots/confusion.png`, `plots/reliability.png`, `plots/speakers.png`, `plots/training.png`.\n"
    )
    parts.append(LIMITS.format(**facts))
    return "\n".join(part for part in parts if part)
