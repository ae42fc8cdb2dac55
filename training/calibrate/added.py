"""What recordings that a user added change in a household, and whether the head has become a detector of corpora.

Ordinary speech of one microphone beside acted speech of others can teach a head to tell the recordings apart in place
of the emotions (docs/model/base.md). It shows in what stayed the same: neutral speech of the acted corpora, by
speakers that the head has not heard, is no longer left alone. Such a run is stopped, and not exported, unless forced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError
from training.calibrate import relative_head
from training.fit import checkpoint, out_of_fold
from training.recipes import recipe

FILE: Final = "household.json"
LEAST_KEPT: Final = 0.85
"""Share of neutral speech that a head must leave alone in every room of labelled speech."""
MOST_LOST: Final = 0.05
"""A head that was below before the recordings were added may lose so much and not more."""
Terms = dict[str, dict[str, float]]


def measure(run: Path, history: dict[str, Any], *, force: bool = False) -> dict[str, Any] | None:
    """Compare a run with and without the recordings that were added to it, in household terms.

    Returns the result, which is also written to the run's folder; None where nothing was added. Raises `UserError`
    where a file of the run is damaged or cannot be written.
    """
    files = (out_of_fold.BEFORE_FILE, out_of_fold.FILE)
    biases = (history.get("relative_bias_before"), history.get("relative_bias"))
    terms: list[Terms] = []
    for name, bias in zip(files, biases, strict=True):
        left_out = out_of_fold.read(run / name)
        if left_out is None or not bias:
            return None
        how = recipe.from_document(history["recipe"]).relative or recipe.Relative()
        head = relative_head.choose(left_out, bias[:7], None, "arousal", how=how)
        terms.append(relative_head.in_household_terms(left_out, head))
    before, after = terms
    found = {"before": before, "after": after, "reasons": reasons(before, after), "forced": force}
    checkpoint.write_bytes(run / FILE, json.dumps(found, indent=1).encode())
    return found


def reasons(before: Terms, after: Terms) -> list[str]:
    """Say why a head tells corpora apart in place of emotions, a sentence for each room; empty where it does not."""
    found = []
    for room, now in after.items():
        least = min(LEAST_KEPT, before.get(room, {}).get("kept", 1.0) - MOST_LOST)
        if "kept" in now and now["kept"] < least:
            found.append(
                f"of the neutral speech of {room} it would call {1 - now['kept']:.0%} an emotion"
                + (f" ({1 - before[room]['kept']:.0%} before)" if "kept" in before.get(room, {}) else "")
            )
    return found


def check(run: Path) -> None:
    """Refuse a run whose added recordings made it tell corpora apart. Raises `UserError`, unless the run was forced."""
    try:
        found = json.loads((run / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UserError(f"{run / FILE}: cannot be read: {error}; run fit again") from None
    if found["reasons"] and not found["forced"]:
        raise UserError(stopped(found["reasons"]))


def stopped(why: list[str]) -> str:
    """Build the message that says why a run was stopped and what can be done."""
    return (
        "with the recordings that were added the head tells recordings apart, not emotions: "
        + "; ".join(why) + ". Add ordinary speech and emotions from the same room and microphone, or go on with "
        "fit --force"
    )  # fmt: skip


def text(found: dict[str, Any]) -> str:
    """Format the result of `measure` as lines for a terminal."""
    words = {
        "called": "ordinary speech called an emotion",
        "named": "emotions rightly named",
        "kept": "neutral kept",
    }
    lines = ["What the added recordings change, on speakers that the head has not heard (before -> after):"]
    for room, now in found["after"].items():
        for key, value in now.items():
            old = found["before"].get(room, {}).get(key)
            lines.append(f"  {room}: {words[key]} {'-' if old is None else f'{old:.0%}'} -> {value:.0%}")
    return "\n".join(lines)
