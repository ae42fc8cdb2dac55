"""Protocol `ordinary-left-out`: ordinary speech of a source that neither head nor constants have heard.

For each source of ordinary speech in turn, the head of a run is solved again without its utterances
(`left_out_head`) and exported as int8 by the usual rules, with operating point and origin chosen without the
source, too; then the protocol `ordinary` is measured on the held-back speakers of that source alone. Each source has a
folder below `--out`; one that is done is not done again. Where a run starts from tuned layers, these may have heard the
fitting speakers of all sources: only what is solved and chosen is left out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.inference import bundle as bundles
from edge.inference.bundle import Bundle
from edge.util.errors import UserError
from training.data import splits
from training.data.corpora import catalogue
from training.data.recordings import Sounds
from training.evaluate.household import ordinary
from training.evaluate.protocol_names import LEFT_OUT
from training.export import bundle as export
from training.fit import checkpoint
from training.metrics import utterances
from training.networks import backend

log = logging.getLogger(__name__)
RESULT: Final = "result.json"
VERSION: Final = "0.0.0"
"""Of the bundles that are made for the measurement alone."""


@dataclass(frozen=True)
class Job:
    """Which run to solve again, the corpora, the folder to write to, and the sources (none named: all)."""

    run: Path
    data: Path
    out: Path
    sources: Sequence[str] = ()
    quiet: bool = False


def run(job: Job) -> list[dict[str, Any]]:
    """Leave out each source in turn, and measure it; sources that are done are not done again.

    Returns a list of a single JSON object: for each source the entry of the protocol `ordinary`, and over the sources
    their mean, the share of all utterances and the worst source. Raises `UserError` as `left_out_head` and the
    export do.
    """
    backend.choose("torch", "tensorflow", "jax")
    from training.evaluate.own_training import left_out_head

    finished = left_out_head.finished_run(job.run)
    features: left_out_head.RunFeatures | None = None
    found: dict[str, dict[str, Any]] = {}
    there = left_out_head.sources(job.data)
    if unknown := sorted(set(job.sources) - set(there)):
        raise UserError(
            f"--source {unknown[0]}: no such source of ordinary speech, there are {', '.join(there)}"
        )
    for source in job.sources or there:
        folder = job.out / source
        if not finished.is_solved(source, folder):
            features = features or left_out_head.read(finished, job.data, quiet=job.quiet)
            left_out_head.solve(features, source, folder)
        found[source] = _measured(job, source, folder)
        log.info("without %s: %.1f %% are called an emotion", source, 100 * found[source]["called"])
    return [summarise(found, job.run, finished.recipe.name)]


def summarise(found: dict[str, dict[str, Any]], run: Path, recipe: str) -> dict[str, Any]:
    """Join the entries of the sources, each by a head of its own, to one JSON object."""
    sizes = np.array([one["utterances"] for one in found.values()])
    worst = max(found, key=lambda name: float(found[name]["called"]))

    def share(key: str) -> float:
        return float(np.average([one[key] for one in found.values()], weights=sizes))

    return {
        "protocol": LEFT_OUT, "bundle": None, "recipe": recipe, "run": str(run), "n": int(sizes.sum()),
        "orders": ordinary.ORDERS, "called": share("called"), "called_from_first": share("called_from_first"),
        "mean_of_sources": float(np.mean([one["called"] for one in found.values()])),
        "worst": {"source": worst, "called": found[worst]["called"]}, "sources": found,
    }  # fmt: skip


def _measured(job: Job, source: str, folder: Path) -> dict[str, Any]:
    """The entry of a source: that of its folder, or one measured with the bundle that is exported there."""
    held = folder / RESULT
    if held.is_file():
        kept: dict[str, Any] = json.loads(held.read_text(encoding="utf-8"))
        return kept
    bundle = _exported(job, folder)
    clips = [
        clip for clip in catalogue.clips(catalogue.read(job.data, ["ordinary"])) if clip.corpus == source
    ]
    tested = [clip for clip in clips if splits.is_held_back(clip)]
    if not tested:
        raise UserError(f"{source}: no speaker is held back for tests, so it cannot be measured")
    predictions = utterances.predict(bundle, tested, Sounds(), source, quiet=job.quiet)
    entry: dict[str, Any] = ordinary.run(bundle, predictions)["sources"][source]
    relative = bundle.manifest.relative
    assert relative is not None
    entry |= {"threshold": relative.decision.threshold, "speakers": len(set(predictions.speakers))}
    checkpoint.write_bytes(held, json.dumps(entry, indent=1).encode())
    return entry


def _exported(job: Job, folder: Path) -> Bundle:
    """The bundle of a run without a source; it is exported where that has not been done."""
    made = sorted(folder.glob(f"*-{VERSION}"))
    if not made:
        made = [export.run(export.Job(folder, job.data, folder, VERSION, quiet=job.quiet), lambda *_: {})]
    return bundles.load(made[0])
