"""Two bundles, old and new, on the same clips: differences with intervals over speakers, and a plain sentence.

Paired: both models hear the same clips, and a draw of speakers counts for both (Bisani & Ney 2004, ICASSP, for word
errors). The unit that is drawn is the speaker, because a model does well or badly by whole people.

The rooms of `ordinary` and `household` decide first: what a device does in a home counts, and a corpus of acted
emotions with equally many of each is no home. The other protocols decide where those cannot tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.bundle import Bundle
from edge.protocol import LABELS
from edge.util.errors import UserError
from training.data import splits
from training.evaluate import clip_lists, compare_household
from training.evaluate.evaluator import Evaluator
from training.metrics import classification as metrics
from training.metrics import intervals, replay
from training.metrics.classification import points
from training.metrics.predictions import Predictions

Float = NDArray[np.float64]
LABELLED = ("held-out", "unseen-language", "folder", "noise", "reverberation")
PROTOCOLS = (*compare_household.PROTOCOLS, *LABELLED)
DEFAULT_PROTOCOLS = (*compare_household.PROTOCOLS, "held-out")
DECIDING = {"ordinary": ("called",), "household": ("kept", "kept_first", "named")}
"""The measures of a protocol that decide; macro F1 where none is named."""
NAMES = {
    "called": "ordinary speech called an emotion", "kept": "neutral kept",
    "kept_first": "neutral kept in the first utterances", "named": "emotions rightly named", "macro_f1": "macro F1",
}  # fmt: skip
LOWER_IS_BETTER = ("called",)
DEFAULT_MARGIN = 2.0
"""Points by which the new bundle may be below the old one by chance before it is called worse."""
DRAWS = 10_000


@dataclass(frozen=True)
class Pair:
    """Predictions of two bundles for the same clips."""

    protocol: str
    condition: str
    old: Predictions
    new: Predictions


def run(
    old: Bundle, new: Bundle, data: Path, protocols: Sequence[str] = (), *,
    adapt: str | None = None, every: int = 1, margin: float = DEFAULT_MARGIN, seed: int = 1, quiet: bool = False,
    cache: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Compare two bundles; returns a JSON object with rows, a verdict (`better`, `equal`, `worse`) and a sentence.

    Differences are new less old, in percentage points. Without `protocols`: those of `default_protocols`. Raises
    `UserError` for an unknown protocol, and `BundleError` with `adapt` for a bundle without an output layer.
    """
    protocols = protocols or default_protocols(data)
    evaluators = [Evaluator(bundle, data, every, quiet, cache=cache) for bundle in (old, new)]
    if not data.is_dir():
        raise UserError(f"{data}: no such folder")
    if unknown := [name for name in protocols if name not in PROTOCOLS]:
        raise UserError(f"protocol {unknown[0]} cannot be compared: there are {', '.join(PROTOCOLS)}")
    rows = [
        row
        for name in protocols
        if name in compare_household.PROTOCOLS
        for row in compare_household.rows(evaluators, name, seed)
    ]
    for pair in _pairs(evaluators, [name for name in protocols if name in LABELLED]):
        one, other = (
            _decisions(bundle, found, adapt) for bundle, found in ((old, pair.old), (new, pair.new))
        )
        rows.append(difference(pair, one, other, seed))
    verdict, sentence = verdict_of(rows, old.full_name, new.full_name, margin)
    return {
        "old": old.full_name, "new": new.full_name, "adapt": adapt, "every": every, "margin": margin, "seed": seed,
        "rows": rows, "verdict": verdict, "sentence": sentence,
    }  # fmt: skip


def default_protocols(data: Path) -> list[str]:
    """The rooms of a household; ordinary speech and the held-out clips where their recordings are there."""
    there = {
        "ordinary": clip_lists.has_ordinary(data),
        "held-out": all((data / name).is_dir() for name in splits.load().corpora),
    }
    return [name for name in DEFAULT_PROTOCOLS if there.get(name, True)]


def _pairs(evaluators: Sequence[Evaluator], protocols: Sequence[str]) -> Iterable[Pair]:
    old, new = evaluators
    for protocol in protocols:
        if protocol in ("noise", "reverberation"):
            corrupted = old.noises() if protocol == "noise" else old.rooms()
            which, names = "held-out", ["", *corrupted]
        else:
            which, names = protocol, [""]
        for condition in names:
            found = [one.predictions(which, condition) for one in (old, new)]
            yield Pair(protocol, condition or ("clean" if which != protocol else ""), *found)


def _decisions(bundle: Bundle, found: Predictions, adapt: str | None) -> list[NDArray[np.intp]]:
    """What is decided for each clip: once, or in each order of the room."""
    if adapt is None:
        # As `evaluate` decides: by probabilities. The calibration of a head can change which one is the largest.
        return [replay.without_baseline(bundle, found).argmax(axis=1)]
    return [logits.argmax(axis=1) for logits in replay.in_orders(bundle, found)]


def difference(
    pair: Pair, old: Sequence[NDArray[np.intp]], new: Sequence[NDArray[np.intp]], seed: int
) -> dict[str, Any]:
    """Compute one row of the comparison: the difference and its 95 % interval by bootstrap over speakers.

    `old` and `new` are the decided label indices, int64 `[n]`, once for each order. Where only one speaker is known,
    clips are drawn, and the row says so.
    """
    speakers = pair.old.speakers
    clusters = sorted(set(speakers))
    unit = "speakers"
    if len(clusters) < 2:
        unit, clusters = "clips", list(pair.old.names)
    owner = speakers if unit == "speakers" else pair.old.names
    place = {name: index for index, name in enumerate(clusters)}
    owners = np.array([place[name] for name in owner])
    # Tables of confusion [clusters, 2 models, true, decided], summed over the orders.
    tables = np.stack([_tables(pair.old.truth, each, owners, len(clusters)) for each in (old, new)], axis=1)
    row: dict[str, Any] = {
        "protocol": pair.protocol, "condition": pair.condition, "n": len(speakers), "speakers": len(set(speakers)),
        "drawn": unit,
    }  # fmt: skip
    for name, statistic in (("macro_f1", metrics.macro_f1_of), ("accuracy", metrics.accuracy_of)):
        before, after = (float(statistic(tables[:, model].sum(axis=0)[None])[0]) for model in (0, 1))

        def change(sums: Float, statistic: Any = statistic) -> Float:
            found: Float = statistic(sums[:, 1]) - statistic(sums[:, 0])
            return found

        low, high = intervals.bootstrap(tables, change, DRAWS, seed) if len(clusters) > 1 else (-1.0, 1.0)
        row[name] = {
            "old": before, "new": after, "difference": points(after - before),
            "low_95": points(low), "high_95": points(high),
        }  # fmt: skip
    return row


def _tables(
    truth: NDArray[np.int64], decided: Sequence[NDArray[np.intp]], owners: NDArray[np.intp], count: int
) -> Float:
    table = np.zeros((count, len(LABELS), len(LABELS)))
    for each in decided:
        np.add.at(table, (owners, truth, each), 1.0 / len(decided))
    return table


@dataclass(frozen=True)
class _Gain:
    """How much better the new bundle is in one measure of a row, in points; below zero: worse."""

    where: str
    gain: float
    low: float
    high: float


def _gains(row: dict[str, Any]) -> list[_Gain]:
    found = []
    for name in DECIDING.get(row["protocol"], ("macro_f1",)):
        one = row[name]
        gain, low, high = one["difference"], one["low_95"], one["high_95"]
        between = f"{low:+.1f} and {high:+.1f}"
        where = f"{_name(row)} ({gain:+.1f} points of {NAMES[name]}, 95 % between {between})"
        if name in LOWER_IS_BETTER:
            gain, low, high = -gain, -high, -low
        found.append(_Gain(where, gain, low, high))
    return found


def verdict_of(rows: Sequence[dict[str, Any]], old: str, new: str, margin: float) -> tuple[str, str]:
    """Decide by the rows of `ordinary` and `household` first, and by the others where those show no difference.

    Worse where a measure is surely below or below by more than the margin, better where one is surely above and none is
    worse. Returns the verdict (`better`, `equal`, `worse`) and a sentence.
    """
    first = [row for row in rows if row["protocol"] in compare_household.PROTOCOLS]
    rest = [row for row in rows if row not in first]
    if first:
        verdict, sentence = _verdict(first, old, new, margin)
        if verdict != "equal" or not rest:
            return verdict, sentence
    return _verdict(rest, old, new, margin)


def _verdict(rows: Sequence[dict[str, Any]], old: str, new: str, margin: float) -> tuple[str, str]:
    gains = [gain for row in rows for gain in _gains(row)]
    lost = [one for one in gains if one.high < 0]
    doubtful = [one for one in gains if one not in lost and one.gain < -margin]
    won = [one for one in gains if one.low > 0]
    if lost:
        return "worse", f"{new} is worse than {old} {_where(lost)}, and the difference means something."
    if doubtful:
        return "worse", (
            f"{new} is below {old} by more than {margin:g} points {_where(doubtful)}; with these speakers that may be "
            "chance, but it is not to be called an improvement."
        )
    if won:
        return "better", f"{new} is better than {old} {_where(won)}, and the difference means something."
    only = f" {_where(gains)}" if len(gains) == 1 else ""
    return "equal", (
        f"{new} and {old} cannot be told apart: every interval includes zero{only}, so the difference may be chance."
    )


def _where(gains: Sequence[_Gain]) -> str:
    return "in " + ", ".join(one.where for one in gains)


def _name(row: dict[str, Any]) -> str:
    return f"{row['protocol']}, {row['condition']}" if row["condition"] else str(row["protocol"])
