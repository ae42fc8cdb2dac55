"""Everything that is known of a bundle, measured once: objects, pictures and the numbers of its model card.

`export` fills a new bundle with the same code, thinned out (`QUICK`), so that it takes minutes and not half an hour.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.inference.bundle import Bundle
from edge.util.atomic_file import move_into_place
from edge.util.errors import UserError
from training.evaluate import registry
from training.evaluate.evaluator import Evaluator
from training.evaluate.protocol_names import HOURS
from training.evaluate.report import model_card, plots
from training.fit import checkpoint
from training.metrics import replay

log = logging.getLogger(__name__)
NUMBERS = "numbers.md"
Objects = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Thinning:
    """How much is measured: every how many clips with noise and in rooms, and how many hours without speech."""

    noise: int = 1
    reverberation: int = 1
    hours: float = HOURS


QUICK = Thinning(noise=5, reverberation=10)
"""About 1,100 clips each instead of 5,500 and 11,000."""


def measure(evaluator: Evaluator, thin: Thinning, only: Sequence[str] = ()) -> Objects:
    """Run all protocols; returns their objects by name, `held-out, adapted` and the like among them.

    With `only`, of those protocols. What cannot be measured because its recordings are missing is named in the log and
    left out. Raises `UserError` where not even `held-out` can be measured.
    """
    evaluator.hours = thin.hours
    wanted: list[tuple[str, str | None, int]] = [("ordinary", None, 1), ("household", None, 1)]
    if evaluator.bundle.manifest.relative is not None:
        wanted += [(name, None, 1) for name in ("episodes", "arousal", "one-emotion")]
        wanted += [("held-out", "baseline", 1), ("unseen-language", "baseline", 1)]
    wanted += [
        ("held-out", None, 1), ("unseen-language", None, 1), ("calibration", None, 1), ("noise", None, thin.noise),
        ("reverberation", None, thin.reverberation), ("false-alarms", None, 1),
    ]  # fmt: skip
    wanted = [one for one in wanted if not only or one[0] in only]
    found: Objects = {}
    every = evaluator.every
    for protocol, adapt, part in wanted:
        name = f"{protocol}, adapted" if adapt else protocol
        evaluator.every = every * part
        try:
            if protocol == "unseen-language" and not (evaluator.data / "emovo").is_dir():
                raise UserError(f"no {evaluator.data / 'emovo'}")
            found[name] = registry.run_all(protocol, evaluator, adapt)
        except UserError as error:
            if protocol == "held-out":
                raise
            log.warning("%s is left out: %s", name, error)
        else:
            log.info("%s: %s", name, _short(found[name]))
        finally:
            evaluator.every = every
    return found


def _short(objects: Sequence[dict[str, Any]]) -> str:
    keys = ("set", "condition", "accuracy", "called", "named", "found", "auc", "loss", "hours", "n")
    return "; ".join(str({key: one[key] for key in keys if one.get(key) is not None}) for one in objects)


def draw(folder: Path, evaluator: Evaluator, found: Objects, history: Mapping[str, Any] | None) -> list[str]:
    """Write all plots of what was measured; returns their file names."""
    if "held-out" not in found:
        return plots.draw(folder, found, None, history)
    predictions = evaluator.predictions("held-out")
    held_out = (predictions, replay.without_baseline(evaluator.bundle, predictions))
    return plots.draw(folder, found, held_out, history)


def run(
    bundle: Bundle, data: Path, out: Path, *,
    history: Path | None = None, every: int = 1, hours: float = HOURS, quiet: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Measure a bundle, and write `report.json`, `numbers.md` and `plots/` into the folder `out`.

    Raises `UserError`; nothing half-written is left.
    """
    if out.exists():
        raise UserError(f"{out} is there already: name another --out")
    curves = _history(history)
    evaluator = Evaluator(bundle, data, every, quiet)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=out.parent) as scratch:
            folder = Path(scratch) / out.name
            folder.mkdir()
            found = measure(evaluator, Thinning(hours=hours))
            names = draw(folder / "plots", evaluator, found, curves)
            checkpoint.write_bytes(folder / "report.json", json.dumps(found, indent=1).encode())
            checkpoint.write_bytes(folder / NUMBERS, model_card.numbers(found, bundle.full_name).encode())
            folder.chmod(0o755)
            move_into_place(folder, out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error}") from None
    return {"plots": names, "protocols": sorted(found)}


def _history(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the history of a run: {error}") from None
    if not found.get("history"):
        raise UserError(f"{path}: holds no finished epoch")
    return found
