"""From a run to a bundle: convert, calibrate, measure, describe; written beside and renamed when it is whole."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference import bundle as bundles
from edge.inference import features
from edge.inference.interpreter import Interpreter
from edge.protocol import LABELS
from edge.util.atomic_file import move_into_place
from edge.util.errors import UserError
from edge.util.version import VERSION
from training.calibrate import added, confidence, relative_head
from training.data import splits
from training.data.corpora import catalogue
from training.data.corpora.clip import Clip
from training.data.progress import Progress
from training.data.recordings import Sounds
from training.export import golden, graph
from training.fit import checkpoint, out_of_fold, resume, retrain
from training.metrics import utterances
from training.metrics.predictions import predict
from training.networks import head
from training.networks import pretrained as encoder
from training.recipes.recipe import Recipe, from_document

log = logging.getLogger(__name__)
LICENCE = "CC-BY-NC-SA-4.0"
ORIGIN_CLIPS: Final = 60
"""Of each corpus; the mean over them and over the corpora is then known to a twentieth of the deviation."""


@dataclass(frozen=True)
class RunFacts:
    """Facts about the training run and the graph of a bundle, for its model card."""

    recipe: Recipe
    history: dict[str, Any]
    epoch: int
    data: Path
    machine: str
    megabytes: float
    runtime: str
    quiet: bool
    protocols: tuple[str, ...] = ()
    """To measure; none named: all."""
    cache: Path | None = None
    """Folder in which outputs of utterances are kept for `evaluate`."""
    note: str = ""
    """A paragraph for the model card."""


Describe = Callable[[bundles.Bundle, RunFacts], dict[str, Any]]
"""Measures a finished bundle, writes plots and model card into its folder, returns the metrics of the manifest."""


@dataclass(frozen=True)
class Job:
    """What to export: recipe, run and version, and the folder to write to."""

    run: Path
    data: Path
    out: Path
    version: str
    epoch: int | None = None
    machine: str = ""
    """Where the run was computed, for the card."""
    min_ms: int = 280
    """Speech below is `uncertain`; about what 400 ms was with the margins of the segmenter, which no longer count."""
    quiet: bool = False
    protocols: tuple[str, ...] = ()
    """To measure for the card; none named: all."""
    cache: Path | None = None
    """Folder in which the outputs of utterances are kept for `evaluate`."""
    note: str = ""
    """A paragraph for the model card."""
    graph_of: bundles.Bundle | None = None
    """An earlier export of the same run, whose graph is taken: only the constants are chosen anew."""


def run(job: Job, describe: Describe) -> Path:
    """Export a run as the bundle `out/<recipe>-<version>/`; returns its folder.

    Raises `UserError`; nothing half-written is left.
    """
    history = checkpoint.history_of(job.run)
    added.check(job.run)
    recipe = from_document(history["recipe"])
    target = job.out / f"{recipe.name}-{job.version}"
    if target.exists():
        raise UserError(f"{target} is there already: bundles are never changed, name another --version")
    epoch = history["history"][-1]["epoch"] if job.epoch is None else job.epoch
    weights = checkpoint.epoch_file(job.run, epoch)
    if not weights.is_file():
        raise UserError(f"{weights} is missing: that epoch has not been finished or its checkpoint is gone")
    job.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=job.out) as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        _fill(folder, _Source(job, recipe, history, weights, epoch, describe))
        folder.chmod(0o755)
        move_into_place(folder, target)
    bundles.load(target)
    return target


@dataclass(frozen=True)
class _Source:
    """The run that is exported."""

    job: Job
    recipe: Recipe
    history: dict[str, Any]
    weights: Path
    epoch: int
    describe: Describe

    def run_facts(self, megabytes: float, runtime: str) -> RunFacts:
        """What the model card says of the run and the graph."""
        job = self.job
        return RunFacts(
            self.recipe, self.history, self.epoch, job.data, job.machine, megabytes, runtime, job.quiet,
            job.protocols, job.cache, job.note,
        )  # fmt: skip


def _fill(folder: Path, source: _Source) -> None:
    job, recipe, history = source.job, source.recipe, source.history
    model = folder / bundles.MODEL
    split = splits.load()
    clips = catalogue.clips(catalogue.read(job.data, split.corpora))
    fitting = split.select(clips, "fit")
    _write_graph(folder, source, fitting)
    net = Interpreter(model)
    logits = next(out.name for out in net.outputs if out.shape == (1, len(LABELS)))
    embedding = next(out.name for out in net.outputs if out.shape == (1, recipe.embedding))
    arousal = None
    if recipe.relative is not None:
        arousal = next(out.name for out in net.outputs if out.shape == (1, 1))
    weights = checkpoint.load_weights(source.weights)
    if job.graph_of is None:
        golden.write(model, folder / bundles.GOLDEN, logits, embedding, arousal)
        resume.write(folder / resume.FILE, recipe, weights, model, encoder.load(job.data))
    # Also proves that a graph which was taken over is that of these weights.
    head.write(folder / bundles.HEAD, weights, folder / bundles.GOLDEN, recipe.embedding)
    (folder / bundles.CARD).write_text("in the making\n", encoding="utf-8")
    roots = [Path(root) for root in history.get("notes", {}).get("added", [])]
    own = retrain.recordings(roots, ordinary=recipe.relative is not None)
    manifest = bundles.Manifest(
        name=recipe.name, version=job.version, labels=LABELS, sample_rate=16000, features=features.DEFAULT,
        features_sha256=features.DEFAULT.sha256(), inputs=_specs(net.inputs), outputs=_specs(net.outputs),
        logits=logits, embedding=embedding, kernels=graph.kernels(recipe), temperature=1.0, abstain_below=0.0,
        min_ms=job.min_ms, embedding_size=recipe.embedding, metrics={}, corpora=_corpora(clips, split, own),
        licence=LICENCE, min_daemon=VERSION, created=datetime.now(UTC).strftime("%Y-%m-%d"), files={},
    )  # fmt: skip
    if arousal is None:
        manifest = _calibrated(_write(folder, manifest), clips, split, job)
    else:
        manifest = _relative(
            _write(folder, manifest), source, arousal, fitting, split.select(clips, "calibrate")
        )
    bundle = _write(folder, manifest)
    metrics = source.describe(bundle, source.run_facts(model.stat().st_size / 1e6, net.runtime))
    manifest = msgspec.structs.replace(manifest, metrics=metrics)
    _write(folder, manifest)


def _write_graph(folder: Path, source: _Source, fitting: list[Clip]) -> None:
    """Convert the weights, or copy the graph of an earlier export with what was made from it."""
    job = source.job
    if job.graph_of is not None:
        for name in (bundles.MODEL, bundles.GOLDEN):
            shutil.copyfile(job.graph_of.path / name, folder / name)
        # Trained further, the new bundle is to keep its own operating point.
        resume.copy(job.graph_of.path / resume.FILE, folder / resume.FILE, source.recipe)
        return
    log.info("converting epoch %d", source.epoch)
    graph.write(
        folder / bundles.MODEL, source.recipe, source.weights,
        fitting=fitting, data=job.data, seed=source.history["seed"], labels=LABELS,
    )  # fmt: skip


def _write(folder: Path, manifest: bundles.Manifest) -> bundles.Bundle:
    """Writes the manifest with the hashes of what is there now, and reads it back with all checks."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != bundles.MANIFEST
    }
    manifest = msgspec.structs.replace(manifest, files=files)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    checkpoint.write_bytes(folder / bundles.MANIFEST, data + b"\n")
    return bundles.load(folder)


def _specs(tensors: Any) -> tuple[bundles.TensorSpec, ...]:
    return tuple(bundles.TensorSpec(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors)


def _calibrated(
    bundle: bundles.Bundle, clips: list[Clip], split: splits.Splits, job: Job
) -> bundles.Manifest:
    """With the temperature and threshold of an absolute head."""
    found = predict(bundle, split.select(clips, "calibrate"), Sounds(), "calibrating", quiet=job.quiet)
    left_out = out_of_fold.read(job.run / out_of_fold.FILE)
    temperature, threshold = confidence.choose(found, left_out)
    return msgspec.structs.replace(bundle.manifest, temperature=temperature, abstain_below=threshold)


def _relative(
    bundle: bundles.Bundle, source: _Source, arousal: str, fitting: list[Clip], unseen: list[Clip]
) -> bundles.Manifest:
    """With the constants of a relative head; `unseen` are clips of the speakers of `calibrate`."""
    job, bias = source.job, source.history.get("relative_bias")
    predicted = out_of_fold.read(job.run / out_of_fold.FILE)
    if predicted is None or not bias:
        raise UserError(f"{job.run} holds no out-of-fold predictions of a relative head: fit it again")
    neutral = [clip for clip in fitting if clip.label == LABELS[0]]
    (talk,) = catalogue.read(job.data, ["ordinary"])
    unheard = source.history.get("notes", {}).get(out_of_fold.LEFT_OUT)
    ordinary = [clip for clip in talk.clips if not splits.is_held_back(clip) and clip.corpus != unheard]
    origin = _origin(bundle, _evenly(neutral + ordinary), arousal, job.run, job.quiet)
    how = source.recipe.relative
    assert how is not None
    bias = bias[: len(LABELS)]
    # The device's parts need a relative head to ask for the arousal; its constants do not matter for the outputs.
    first = relative_head.initial(predicted, bias, arousal, how=how)
    asked = bundles.Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, relative=first))
    chosen_on = _unseen(asked, unseen, job.quiet) if unseen else None
    head = relative_head.choose(predicted, bias, origin, arousal, chosen_on, how=how)
    return msgspec.structs.replace(bundle.manifest, relative=head)


def _evenly(clips: list[Clip]) -> list[Clip]:
    """At most `ORIGIN_CLIPS` of each corpus, evenly spaced."""
    chosen: list[Clip] = []
    for name in sorted({clip.corpus for clip in clips}):
        own = [clip for clip in clips if clip.corpus == name]
        chosen += own[:: -(-len(own) // ORIGIN_CLIPS)]
    return chosen


def _origin(
    bundle: bundles.Bundle, clips: list[Clip], arousal: str, kept_in: Path, quiet: bool
) -> list[float]:
    """Mean outputs `[8]` of the graph over corpora of their neutral speech; every corpus counts the same.

    The mean of each corpus is kept in a folder, so that an export that was killed goes on with the next corpus.
    """
    facts = [bundle.sha256, *(str(clip.path) for clip in clips)]
    file = kept_in / f"origin-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.json"
    means: dict[str, list[float]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for name in sorted({clip.corpus for clip in clips} - set(means)):
        own = [clip for clip in clips if clip.corpus == name]
        rows = _outputs(bundle, own, arousal, f"origin, {name}", quiet)
        means[name] = rows.mean(axis=0).tolist()
        checkpoint.write_bytes(file, json.dumps(means).encode())
    return [float(value) for value in np.mean(list(means.values()), axis=0)]


def _outputs(
    bundle: bundles.Bundle, clips: list[Clip], arousal: str, title: str, quiet: bool
) -> NDArray[np.float64]:
    """Logits and arousal of the graph for the first 3 s of each clip that is long enough, `[n, 8]`."""
    net, sounds, rows = Interpreter(bundle.model), Sounds(), []
    for clip in Progress(clips, title, "clip", quiet=quiet):
        speech = features.trim(features.to_float(sounds[clip.path]))
        if speech.size < features.MIN_SAMPLES:
            continue
        mel, mask = features.network_input(features.windows(speech)[0])
        found = net.run({"features": mel, "mask": mask})
        rows.append(np.append(found[bundle.manifest.logits][0], found[arousal][0]))
    return np.array(rows, np.float64).reshape(len(rows), len(LABELS) + 1)


def _unseen(bundle: bundles.Bundle, clips: list[Clip], quiet: bool) -> out_of_fold.OutOfFold:
    """Outputs for the speakers of `calibrate`, whom no part of the training has heard, cut as the device cuts.

    What is cut is less clear than a whole recording: an operating point that was chosen on these would be too low.
    """
    found = utterances.predict(bundle, clips, Sounds(), "speakers of calibrate", quiet=quiet)
    found = found.take(np.flatnonzero(found.enough_speech))
    return out_of_fold.OutOfFold(
        found.outputs, found.truth, np.array(found.speakers, np.str_), np.array(found.rooms, np.str_)
    )


def _corpora(clips: list[Clip], split: splits.Splits, own: list[Clip]) -> tuple[dict[str, Any], ...]:
    result: list[dict[str, Any]] = []
    for name in split.corpora:
        corpus = [clip for clip in clips if clip.corpus == name]
        parts = {part: len(split.select(corpus, part)) for part in splits.PARTS}
        result.append({"name": name, "licence": catalogue.CORPORA[name].licence, "clips": parts})
    if own:
        parts = {"fit": len(own), "calibrate": 0, "test": 0}
        result.append({"name": "own recordings", "licence": "the user's own", "clips": parts})
    return tuple(result)
