"""Champion and challenger on the same clips: differences with intervals over speakers, and a plain sentence.

Paired: both models hear the same clips, and a draw of speakers counts for both (Bisani & Ney 2004, ICASSP, for word
errors). The unit that is drawn is the speaker, because a model does well or badly by whole people.
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
from training.evaluate.evaluator import Evaluator
from training.metrics import classification as metrics
from training.metrics import intervals, replay
from training.metrics.classification import points
from training.metrics.predictions import Predictions

Float = NDArray[np.float64]
PROTOCOLS = ("held-out", "unseen-language", "folder", "noise", "reverberation")
DEFAULT_MARGIN = 2.0
"""Points of macro F1 that a challenger may be below the champion, without proof, before it is called worse."""
DRAWS = 10_000


@dataclass(frozen=True)
class Pair:
    """One set of clips as both bundles hear it."""

    protocol: str
    condition: str
    old: Predictions
    new: Predictions


def run(
    old: Bundle, new: Bundle, data: Path, protocols: Sequence[str], *,
    adapt: str | None = None, every: int = 1, margin: float = DEFAULT_MARGIN, seed: int = 1, quiet: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Rows of differences (new less old, in points), a verdict (`better`, `equal`, `worse`) and a sentence.

    Raises `UserError` for an unknown protocol, and `BundleError` with `adapt` for a bundle without an output layer.
    """
    evaluators = [Evaluator(bundle, data, every, quiet) for bundle in (old, new)]
    if not data.is_dir():
        raise UserError(f"{data}: no such folder")
    rows = []
    for pair in _pairs(evaluators, protocols):
        one, other = (
            _decisions(bundle, found, adapt) for bundle, found in ((old, pair.old), (new, pair.new))
        )
        rows.append(difference(pair, one, other, seed))
    verdict, sentence = verdict_of(rows, old.full_name, new.full_name, margin)
    return {
        "old": old.full_name, "new": new.full_name, "adapt": adapt, "every": every, "margin": margin, "seed": seed,
        "rows": rows, "verdict": verdict, "sentence": sentence,
    }  # fmt: skip


def _pairs(evaluators: Sequence[Evaluator], protocols: Sequence[str]) -> Iterable[Pair]:
    old, new = evaluators
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise UserError(f"protocol {protocol} cannot be compared: there are {', '.join(PROTOCOLS)}")
        if protocol in ("noise", "reverberation"):
            spoilt = old.noises() if protocol == "noise" else old.rooms()
            which, names = "held-out", ["", *spoilt]
        else:
            which, names = protocol, [""]
        for condition in names:
            found = [one.predictions(which, condition) for one in (old, new)]
            yield Pair(protocol, condition or ("clean" if which != protocol else ""), *found)


def _decisions(bundle: Bundle, found: Predictions, adapt: str | None) -> list[NDArray[np.intp]]:
    """What is decided for each clip: once, or in each order of the room."""
    if adapt is None:
        return [found.logits.argmax(axis=1)]
    return [logits.argmax(axis=1) for logits in replay.in_orders(bundle, found)]


def difference(
    pair: Pair, old: Sequence[NDArray[np.intp]], new: Sequence[NDArray[np.intp]], seed: int
) -> dict[str, Any]:
    """One row. Where only one speaker is known, clips are drawn, and the row says so."""
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


def verdict_of(rows: Sequence[dict[str, Any]], old: str, new: str, margin: float) -> tuple[str, str]:
    """By macro F1 of each row: worse where one is surely below or below by more than the margin, better where one is
    surely above and none is worse."""
    lost = [row for row in rows if row["macro_f1"]["high_95"] < 0]
    doubtful = [row for row in rows if row not in lost and row["macro_f1"]["difference"] < -margin]
    won = [row for row in rows if row["macro_f1"]["low_95"] > 0]
    if lost:
        return "worse", f"{new} is worse than {old} {_where(lost)}, and the difference means something."
    if doubtful:
        return "worse", (
            f"{new} is below {old} by more than {margin:g} points {_where(doubtful)}; with these speakers that may be "
            "chance, but it is not to be called an improvement."
        )
    if won:
        return "better", f"{new} is better than {old} {_where(won)}, and the difference means something."
    return "equal", (
        f"{new} and {old} cannot be told apart: every interval includes zero{_range(rows)}, "
        "so the difference may be chance."
    )


def _where(rows: Sequence[dict[str, Any]]) -> str:
    return "in " + ", ".join(f"{_name(row)} ({_change(row)})" for row in rows)


def _range(rows: Sequence[dict[str, Any]]) -> str:
    return f" ({_change(rows[0])})" if len(rows) == 1 else ""


def _change(row: dict[str, Any]) -> str:
    found = row["macro_f1"]
    between = f"{found['low_95']:+.1f} and {found['high_95']:+.1f}"
    return f"{found['difference']:+.1f} points of macro F1, 95 % between {between}"


def _name(row: dict[str, Any]) -> str:
    return f"{row['protocol']}, {row['condition']}" if row["condition"] else str(row["protocol"])
