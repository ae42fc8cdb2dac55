"""Describes a bundle that is being exported: measures it, draws its plots, writes its model card."""

from __future__ import annotations

from typing import Any

from edge.inference import bundle as bundles
from edge.protocol import LABELS
from training.data import splits
from training.data.corpora import catalogue
from training.data.corpora.clip import Clip
from training.evaluate.evaluator import Evaluator
from training.evaluate.report import model_card, report
from training.export.bundle import RunFacts

LANGUAGES = {"ravdess": "North American English", "nemo": "Polish"}


def describe(bundle: bundles.Bundle, made: RunFacts) -> dict[str, Any]:
    """Measure a bundle, write model card and plots into its folder, and return the metrics for its manifest.

    Raises `UserError` where the test speakers are missing.
    """
    evaluator = Evaluator(bundle, made.data, quiet=made.quiet, cache=made.cache)
    found = report.measure(evaluator, report.QUICK, made.protocols)
    drawn = report.draw(bundle.path / "plots", evaluator, found, made.history)
    text = model_card.text(facts_of(bundle.manifest, made), found, drawn, made.note)
    (bundle.path / bundles.CARD).write_text(text, encoding="utf-8")
    return {name: short for name, objects in found.items() if (short := _shorts(objects))}


def _shorts(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The most important numbers of a protocol: of its one object, or of each set at the quoted share of neutral."""
    if len(objects) == 1:
        return _short(objects[0])
    shares = [one["neutral_share"] for one in objects if "neutral_share" in one]
    return {
        one["set"]: _short(one)
        for one in objects
        if "set" in one and one.get("neutral_share") == (shares[0] if shares else None)
    }


def _short(one: dict[str, Any]) -> dict[str, Any]:
    keys = (
        "n", "accuracy", "uar", "macro_f1", "accuracy_restricted", "ece", "accuracy_at_80_coverage", "coverage",
        "accuracy_covered", "gain", "loss", "loss_after", "hours", "all", "non_neutral", "set", "called",
        "called_from_first", "found", "false_per_1000", "auc",
    )  # fmt: skip
    held = {key: one[key] for key in keys if one.get(key) is not None}
    held |= {key: one[key]["share"] for key in ("named", "kept") if isinstance(one.get(key), dict)}
    # NumPy's numbers are floats, too, but none that a manifest can hold.
    return {key: round(float(value), 4) if isinstance(value, float) else value for key, value in held.items()}


def facts_of(manifest: bundles.Manifest, made: RunFacts) -> dict[str, Any]:
    """Return the values that fill the templates of the model card."""
    recipe, history = made.recipe, made.history
    split = splits.load()
    clips: list[Clip] = catalogue.clips(catalogue.read(made.data, split.corpora))
    fitting = split.select(clips, "fit")
    disgust = [clip for clip in fitting if clip.label == "disgust"]
    rows = [
        f"| {entry['name']} | fit {entry['clips']['fit']}, calibrate {entry['clips']['calibrate']}, "
        f"test {entry['clips']['test']} clips | {entry['licence']} |"
        for entry in manifest.corpora
    ]
    if manifest.relative is not None:
        rows.append(
            "| ordinary speech (five sources) | fitted as ordinary; held-back speakers: test | per source |"
        )
        rows.append("| emospeech, places House and Misc | fit | CC BY-NC-SA 4.0 |")
    rows += [
        f"| {name} | evaluation only | {catalogue.CORPORA[name].licence} |"
        for name in catalogue.LABELLED
        if name not in split.corpora and (made.data / name).is_dir()
    ]
    start = model_card.start_of(history.get("notes", {}))
    spoken = " and ".join(LANGUAGES.get(name, name) for name in split.corpora)
    return {
        "name": manifest.full_name, "version": manifest.version, "layers": recipe.layers,
        "embedding": recipe.embedding, "labels": len(LABELS), "label_list": ", ".join(LABELS),
        "kernels": model_card.KERNELS[manifest.kernels], "architecture": model_card.architecture(recipe, start),
        "start": f" --from {start}" if start else "",
        "origin": model_card.ORIGIN[recipe.architecture], "recipe": recipe.name,
        "seed": history["seed"], "course": model_card.course(recipe, start),
        "shipped": model_card.shipped(recipe, made.epoch),
        "keras": history["keras"], "backend": history["backend"], "where": f", {made.machine}" if made.machine else "",
        "calibration": _calibration(manifest), "relation": _relation(manifest),
        "corpora": "\n".join(rows), "fit_speakers": len({clip.speaker for clip in fitting}), "languages": spoken,
        "disgust": len(disgust), "disgust_speakers": len({clip.speaker for clip in disgust}), "min_ms": manifest.min_ms,
        "megabytes": made.megabytes, "runtime": made.runtime,
    }  # fmt: skip


def _relation(manifest: bundles.Manifest) -> str:
    return (
        "" if manifest.relative is None else " and of arousal,\nboth in relation to the baseline of the room"
    )


def _calibration(manifest: bundles.Manifest) -> str:
    if manifest.relative is None:
        return (
            f"temperature {manifest.temperature} and threshold {manifest.abstain_below} from `calibrate` and from "
            "out-of-fold\npredictions of the speakers of `fit`"
        )
    return (
        "the baseline, the operating point and the scales from out-of-fold\npredictions of the same speakers, "
        "and from predictions of those of `calibrate`"
    )
