"""The protocols: each runs a shipped bundle and gives one plain JSON object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge.contract import LABELS
from edge.errors import UserError
from edge.model.bundle import Bundle
from training import conditions, metrics, splits
from training.corpora import catalogue, emovo, folder
from training.corpora.clip import Clip
from training.predict import Predictions, predict
from training.sounds import Sounds


def measure(protocol: str, bundle: Bundle, found: Predictions) -> dict[str, Any]:
    """All measures of the predictions, with the bundle's temperature and threshold."""
    probabilities = found.probabilities(bundle.manifest.temperature)
    right = probabilities.argmax(axis=1) == found.truth
    covered = probabilities.max(axis=1) >= bundle.manifest.abstain_below
    speakers: dict[str, list[bool]] = defaultdict(list)
    for speaker, hit in zip(found.speakers, right, strict=True):
        speakers[speaker].append(bool(hit))
    return {
        "protocol": protocol,
        "bundle": bundle.full_name,
        **metrics.summary(probabilities, found.truth, LABELS),
        "coverage": float(covered.mean()),
        "accuracy_covered": float(right[covered].mean()) if covered.any() else 0.0,
        "per_speaker": {
            speaker: {"n": len(hits), "accuracy": float(np.mean(hits))}
            for speaker, hits in sorted(speakers.items())
        },
    }


def _held_out(data: Path) -> list[Clip]:
    split = splits.load()
    return split.select(catalogue.clips(catalogue.read(data, split.corpora)), "test")


def _unseen_language(data: Path) -> list[Clip]:
    root = data / "emovo" if (data / "emovo").is_dir() else data
    return emovo.scan(root).clips or folder.scan(root).clips


def _folder(data: Path) -> list[Clip]:
    return folder.scan(data).clips


PROTOCOLS: dict[str, tuple[Callable[[Path], list[Clip]], str]] = {
    "held-out": (
        _held_out,
        "RAVDESS actors and nEMO speakers of splits.toml that no part of the training heard",
    ),
    "unseen-language": (
        _unseen_language,
        "EMOVO (Italian), or DIR/<label>/* in a language that was never heard",
    ),
    "folder": (_folder, "any DIR/<label>/* of audio"),
}


SPOILT = {
    "noise": "held-out with recorded noise that no training heard, at 20, 10, 5 and 0 dB",
    "reverberation": "held-out in measured rooms that no training heard",
}
"""Protocols of several conditions: one object each."""


def run_all(
    protocol: str, bundle: Bundle, data: Path, *, every: int = 1, quiet: bool = False
) -> list[dict[str, Any]]:
    """The objects of a protocol, one for each condition. Raises `UserError`."""
    if protocol not in SPOILT:
        return [run(protocol, bundle, data, every=every, quiet=quiet)[0]]
    clips, sounds = _held_out(data)[::every], Sounds()
    changes: dict[str, conditions.Change]
    if protocol == "noise":
        changes = {f"{snr} dB": conditions.noisy(data, snr, sounds) for snr in conditions.SNRS_DB}
    else:
        changes = conditions.rooms(data)
    result = []
    for name, change in {"clean": None, **changes}.items():
        found = predict(bundle, clips, sounds, f"{protocol}, {name}", change=change, quiet=quiet)
        result.append(measure(protocol, bundle, found) | {"condition": name, "every": every})
    return result


def run(
    protocol: str, bundle: Bundle, data: Path, *, every: int = 1, quiet: bool = False
) -> tuple[dict[str, Any], Predictions]:
    """Measures and predictions of one protocol. Raises `UserError` for an unknown protocol or an empty folder."""
    if protocol not in PROTOCOLS:
        raise UserError(f"unknown protocol {protocol}: there are {', '.join([*PROTOCOLS, *SPOILT])}")
    clips = PROTOCOLS[protocol][0](data)[::every]
    if not clips:
        raise UserError(f"{data}: no labelled audio for {protocol}: {PROTOCOLS[protocol][1]}")
    found = predict(bundle, clips, Sounds(), protocol, quiet=quiet)
    return measure(protocol, bundle, found) | {"every": every}, found
