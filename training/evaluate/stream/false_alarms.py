"""False alarms: hours of sound without speech, through voice activity detector, segmenter and classifier.

Every event is one too many; a `neutral` or `uncertain` one does little harm, so the others are counted by themselves.
The sound is recordings that no training has heard (`corpora.noise.EVALUATION`), cut, mixed and varied in level: there
are only minutes of them, so hours contain each of them several times, never twice alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.audio.segmenter import BLOCK, RATE, Segmenter
from edge.audio.vad import make_vad
from edge.config.settings import Config
from edge.inference import features
from edge.inference.bundle import Bundle
from edge.inference.classifier import Classifier
from edge.protocol import UNCERTAIN
from edge.util.errors import UserError
from training.augment import transforms
from training.data.corpora import noise
from training.data.progress import Progress
from training.data.recordings import Sounds
from training.evaluate.protocol_names import HOURS
from training.metrics.intervals import poisson_upper

Float = NDArray[np.float32]
HARMLESS = ("neutral", UNCERTAIN)
SCENE_S = (8.0, 30.0)
"""Length of one mixture, drawn evenly."""
LEVEL_DBFS = (-55.0, -12.0)
"""Level (RMS) of the loudest of a mixture: from a quiet room to an appliance at the microphone."""
BELOW_DB = (0.0, 15.0)
"""So much quieter are the others of a mixture."""
MOST_SOURCES = 3
FLOOR_RMS = 4.0
"""Of the noise of the microphone itself, in steps of int16: -78 dBFS."""
DEFINITION = (
    "an event is whatever the device would publish; a non-neutral one is neither neutral nor uncertain; "
    "bounds are exact one-sided 95 % bounds of a Poisson count"
)


@dataclass(frozen=True)
class StreamResult:
    """What the device would have published for a stretch of sound without speech."""

    events: Counter[str]
    sources: Counter[str]
    """Which recordings were in the mixtures that led to events."""
    seconds: float
    speech_seconds: float
    """Of blocks that the detector took for speech."""


def run(
    bundle: Bundle, data: Path, *, hours: float = HOURS, seed: int = 1, quiet: bool = False
) -> dict[str, Any]:
    """Measure how many events hours of noise without speech lead to; returns one JSON object.

    Raises `UserError` where there are no noise recordings.
    """
    paths = noise.evaluation_files(data)
    if not paths:
        raise UserError(
            f"{data / 'noise'} holds none of {', '.join(noise.EVALUATION)}: nothing to listen to for false alarms"
        )
    sounds = Sounds()
    bad = set(sounds.load(paths, "false-alarms, reading", quiet))
    held = [(path.stem, features.to_float(sounds[path])) for path in paths if path not in bad]
    found = listen(bundle, scenes(held, hours, seed), hours, quiet)
    total, harmful = found.events.total(), sum(n for kind, n in found.events.items() if kind not in HARMLESS)
    lasted = found.seconds / 3600
    nothing = dict.fromkeys(
        ("accuracy", "uar", "macro_f1", "accuracy_restricted", "ece", "accuracy_at_80_coverage", "per_class",
         "confusion", "coverage")
    )  # fmt: skip
    return {
        "protocol": "false-alarms", "bundle": bundle.full_name, "n": total, **nothing,
        "hours": round(lasted, 3), "seed": seed, "recordings": len(held), "definition": DEFINITION,
        "all": _rate(total, lasted), "non_neutral": _rate(harmful, lasted),
        "events": dict(sorted(found.events.items())), "taken_for_speech_s": round(found.speech_seconds, 1),
        "sources": dict(found.sources.most_common(10)),
    }  # fmt: skip


def _rate(count: int, hours: float) -> dict[str, float]:
    return {
        "count": count, "per_hour": round(count / hours, 3), "upper_95": round(poisson_upper(count) / hours, 3),
    }  # fmt: skip


def scenes(
    recordings: list[tuple[str, Float]], hours: float, seed: int
) -> Iterator[tuple[tuple[str, ...], NDArray[np.int16]]]:
    """Yield random mixtures of one to three recordings, int16 `[n]` at 16 kHz, each with the names of its recordings.

    They end when they last `hours` together.
    """
    usable = [(name, sound) for name, sound in recordings if float(np.abs(sound).max(initial=0.0)) > 1e-3]
    if not usable:
        raise UserError("the recordings of noise are all silent")
    left = round(hours * 3600 * RATE)
    index = 0
    while left > 0:
        random = np.random.default_rng([seed, index])
        size = min(left, int(random.uniform(*SCENE_S) * RATE))
        count = int(random.integers(1, MOST_SOURCES + 1))
        chosen = random.choice(len(usable), min(count, len(usable)), replace=False)
        level = 10 ** (random.uniform(*LEVEL_DBFS) / 20)
        mixture = random.normal(0.0, FLOOR_RMS / 32768, size).astype(np.float32)
        for place, which in enumerate(chosen):
            quieter = 10 ** (-random.uniform(*BELOW_DB) / 20) if place else 1.0
            stretch = _faded(transforms.cut(usable[int(which)][1], size, random))
            power = math.sqrt(float(np.mean(np.square(stretch))))
            if power > 1e-5:
                mixture += stretch * np.float32(level * quieter / power)
        names = tuple(usable[int(which)][0] for which in chosen)
        yield names, np.clip(np.rint(mixture * 32768), -32768, 32767).astype(np.int16)
        left -= size
        index += 1


def _faded(sound: Float, milliseconds: int = 50) -> Float:
    """Without a click at either end."""
    ramp = np.ones(sound.size, np.float32)
    length = min(sound.size // 2, milliseconds * RATE // 1000)
    ramp[:length] = np.linspace(0, 1, length, dtype=np.float32)
    ramp[sound.size - length :] = ramp[:length][::-1]
    return sound * ramp


def listen(
    bundle: Bundle, mixtures: Iterator[tuple[tuple[str, ...], NDArray[np.int16]]], hours: float, quiet: bool
) -> StreamResult:
    """Run mixtures, int16 `[n]`, as one continuous stream through detection, segmentation and classification."""
    config = Config()
    detector, segmenter, classifier = make_vad(config), Segmenter(config), Classifier(bundle)
    events: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    rest = np.zeros(0, np.int16)
    blocks = voiced = 0
    count = round(hours * 3600 / (sum(SCENE_S) / 2))
    for names, mixture in Progress(mixtures, "false-alarms", "mixture", total=count, quiet=quiet):
        rest = np.concatenate((rest, mixture))
        whole = rest.size // BLOCK * BLOCK
        for block in rest[:whole].reshape(-1, BLOCK):
            probability = detector.probability(block)
            voiced += probability >= config.vad.onset
            for utterance in segmenter.push(block, probability):
                events[classifier.classify(utterance.samples, utterance.duration_ms).event_type] += 1
                sources.update(names)
        rest = rest[whole:]
        blocks += whole // BLOCK
    for utterance in segmenter.flush():
        events[classifier.classify(utterance.samples, utterance.duration_ms).event_type] += 1
    return StreamResult(events, sources, blocks * BLOCK / RATE, voiced * BLOCK / RATE)
