"""Classifies recordings by the device's own method, whatever their length: detector, segmenter, classifier.

Every stretch of speech is classified as an utterance in a new room, and the outputs of those with enough speech are
averaged, weighted by their length, before one decision is made. A recording without speech is `uncertain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
import numpy as np

from edge.audio.files import AudioFile, AudioFileError
from edge.audio.filters import DcBlocker
from edge.audio.segmenter import BLOCK, RATE, Samples, Segmenter, Utterance
from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.inference.classifier import Classifier, Result
from edge.protocol import LABELS, UNCERTAIN

MIN_S: Final = 0.1

Reason = Literal["no_speech", "too_short", "unclear"]
Progress = Callable[[AudioFile], Iterator[Samples]]
"""Wraps the iteration over a file, to show the progress."""


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of speech in a recording."""

    start_s: float
    duration_s: float
    event_type: str
    confidence: float
    probabilities: dict[str, float]
    arousal: float | None = None
    """-1 (far calmer than ordinary speech) to 1 (far more agitated); absent without enough speech."""


class RecordingResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The classification of a recording, as `roomtone classify --json` prints it."""

    file: str
    event_type: str
    confidence: float
    probabilities: dict[str, float]
    duration_s: float
    speech_s: float
    """Length of the speech according to the voice activity detector."""
    declared_s: float | None = None
    """Length that the header says, of a file that is cut off; absent for a whole one."""
    uncertain: Reason | None = None
    """Why it is `uncertain`: no speech, too little of it, or no label is clear; absent for any other label."""
    model: str
    arousal: float | None = None
    """-1 (far calmer than ordinary speech) to 1 (far more agitated); absent without enough speech."""
    segments: tuple[Segment, ...] | None = None


@dataclass
class _Contents:
    """What has been read of one recording so far."""

    samples: int = 0
    speech: int = 0
    segments: list[Segment] = field(default_factory=list)
    results: list[tuple[int, Result]] = field(default_factory=list)
    """Length in milliseconds and result of each stretch of speech."""


class RecordingClassifier:
    """Classifies recordings, one after another. Not thread-safe.

    `external`: whether ffmpeg may decode what libsndfile cannot; never for recordings that others send.
    """

    def __init__(self, config: Config, vad: Vad, classifier: Classifier, *, external: bool = False) -> None:
        self._external = external
        self._config = config
        self._vad = vad
        self._classifier = classifier

    def classify(self, name: str, *, segments: bool, progress: Progress = iter) -> RecordingResult:
        """Classify a file (`-`: standard input); `segments` adds the single stretches of speech.

        Raises `AudioFileError` when it cannot be read or is too short.
        """
        contents = _Contents()
        with AudioFile(name, external=self._external) as file:
            self._read(progress(file), contents)
            shown, share = file.name, file.share
        seconds = contents.samples / RATE
        if seconds < MIN_S:
            raise AudioFileError(
                f"{shown}: only {1000 * seconds:.3g} ms long; at least {1000 * MIN_S:.0f} ms are needed"
            )
        result = self._average(contents.results)
        return RecordingResult(
            file=json_text(name),
            event_type=UNCERTAIN if result is None else result.event_type,
            confidence=round(1 / len(LABELS) if result is None else result.confidence, 3),
            probabilities=_rounded(result),
            arousal=None if result is None or result.arousal is None else round(result.arousal, 3),
            duration_s=round(seconds, 3),
            declared_s=None if share == 1.0 else round(seconds / share, 3),
            uncertain=_reason(result, contents),
            speech_s=round(contents.speech / RATE, 3),
            model=self._classifier.bundle.full_name,
            segments=tuple(contents.segments) if segments else None,
        )

    def _read(self, parts: Iterable[Samples], contents: _Contents) -> None:
        segmenter = Segmenter(self._config)
        self._vad.reset()
        dc_blocker = DcBlocker()
        for raw, length in _blocks(parts, BLOCK):
            block = dc_blocker.process(raw)
            contents.samples += length
            probability = self._vad.probability(block)
            contents.speech += length if probability >= self._config.vad.onset else 0
            for utterance in segmenter.push(block, probability):
                self._add(utterance, contents)
        for utterance in segmenter.flush():
            self._add(utterance, contents)

    def _add(self, utterance: Utterance, contents: _Contents) -> None:
        result = self._classifier.classify(utterance.samples, utterance.duration_ms)
        contents.results.append((utterance.duration_ms, result))
        contents.segments.append(
            Segment(
                start_s=round(utterance.first_block * BLOCK / RATE, 3),
                duration_s=utterance.duration_ms / 1000,
                event_type=result.event_type,
                confidence=round(result.confidence, 3),
                probabilities={label: round(share, 6) for label, share in result.probabilities.items()},
                arousal=None if result.arousal is None else round(result.arousal, 3),
            )
        )

    def _average(self, results: list[tuple[int, Result]]) -> Result | None:
        """One decision on the mean outputs, weighted by length; None where there was too little speech."""
        enough = [(length, result) for length, result in results if result.enough_speech]
        if not enough:
            return None
        weights = [length for length, _ in enough]
        outputs = np.average([result.outputs for _, result in enough], axis=0, weights=weights)
        embedding = np.average([result.embedding for _, result in enough], axis=0, weights=weights)
        return self._classifier.result(outputs, embedding, True)


def _reason(result: Result | None, contents: _Contents) -> Reason | None:
    if result is not None:
        return "unclear" if result.event_type == UNCERTAIN else None
    return "too_short" if contents.speech else "no_speech"


def _rounded(result: Result | None) -> dict[str, float]:
    shares = dict.fromkeys(LABELS, 1 / len(LABELS)) if result is None else result.probabilities
    return {label: round(share, 3) for label, share in shares.items()}


def json_text(name: str) -> str:
    """Replace the bytes of a file name that are not UTF-8: Linux allows them, JSON does not."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _blocks(parts: Iterable[Samples], size: int) -> Iterator[tuple[Samples, int]]:
    """Blocks of equal size and how much of each is sound; the last one is padded with zeros for the detector."""
    rest: Samples = np.zeros(0, np.int16)
    for part in parts:
        pending = np.concatenate((rest, part))
        whole = pending.size // size * size
        for start in range(0, whole, size):
            yield pending[start : start + size], size
        rest = pending[whole:]
    if rest.size:
        yield np.concatenate((rest, np.zeros(size - rest.size, np.int16))), rest.size
