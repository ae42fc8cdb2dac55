"""Classifies recordings: short ones as a whole, long ones by their stretches of speech.

A recording of up to a minute is classified like an utterance of the microphone: silence at both ends is removed, and
windows of 3 s are averaged. Of a longer one only the stretches of speech are classified, and their results are averaged
by length, so that an hour takes no more memory than a minute. A recording without speech is `uncertain`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from edge.audio.files import AudioFile, AudioFileError
from edge.audio.filters import DcBlocker
from edge.audio.segmenter import BLOCK, RATE, Samples, Segmenter, Utterance
from edge.audio.vad import Vad
from edge.config.settings import Config
from edge.inference.classifier import Classifier
from edge.protocol.messages import LABELS, UNCERTAIN

WHOLE_S: Final = 60.0
"""Length in seconds up to which a recording is classified as a whole."""
MIN_S: Final = 0.1

Progress = Callable[[AudioFile], Iterator[Samples]]
"""Wraps the iteration over a file, to show the progress."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of speech in a recording."""

    start_s: float
    duration_s: float
    event_type: str
    confidence: float
    probabilities: dict[str, float]


class RecordingResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The classification of a recording, as `roomtone classify --json` prints it."""

    file: str
    event_type: str
    confidence: float
    probabilities: dict[str, float]
    duration_s: float
    speech_s: float
    """Length of the speech according to the voice activity detector."""
    model: str
    segments: tuple[Segment, ...] | None = None


@dataclass
class _Contents:
    """What has been read of one recording so far."""

    samples: int = 0
    speech: int = 0
    whole: list[Samples] | None = field(default_factory=list)
    """All blocks, while the recording is short enough."""
    segments: list[Segment] = field(default_factory=list)


class RecordingClassifier:
    """Classifies recordings, one after another. Not thread-safe.

    `external`: whether ffmpeg may decode what libsndfile cannot; never for recordings that others send.
    """

    def __init__(self, config: Config, vad: Vad, classifier: Classifier, *, external: bool = False) -> None:
        self._external = external
        self._config = config
        self._vad = vad
        self._classifier = classifier
        self._threshold = classifier.bundle.manifest.abstain_below

    def classify(self, name: str, *, segments: bool, progress: Progress = iter) -> RecordingResult:
        """Classify a file (`-`: standard input); `segments` adds the single stretches of speech.

        Raises `AudioFileError` when it cannot be read or is too short.
        """
        contents = _Contents()
        with AudioFile(name, external=self._external) as file:
            self._read(progress(file), contents, segments=segments)
            shown = file.name
        seconds = contents.samples / RATE
        if seconds < MIN_S:
            raise AudioFileError(
                f"{shown}: only {1000 * seconds:.3g} ms long; at least {1000 * MIN_S:.0f} ms are needed"
            )
        if contents.whole is not None:
            result = self._classifier.classify(np.concatenate(contents.whole))
            probabilities = result.probabilities
            event_type = result.event_type
        else:
            probabilities = average(contents.segments)
            event_type = self._decide(probabilities)
        return RecordingResult(
            file=printable(name),
            event_type=event_type if contents.speech else UNCERTAIN,
            confidence=round(max(probabilities.values()), 3),
            probabilities={label: round(share, 3) for label, share in probabilities.items()},
            duration_s=round(seconds, 3),
            speech_s=round(contents.speech / RATE, 3),
            model=self._classifier.bundle.full_name,
            segments=tuple(contents.segments) if segments else None,
        )

    def _read(self, parts: Iterable[Samples], contents: _Contents, *, segments: bool) -> None:
        segmenter = Segmenter(self._config)
        self._vad.reset()
        dc_blocker = DcBlocker()
        waiting: list[Utterance] = []

        def classify_waiting() -> None:
            contents.segments.extend(self._segment(utterance) for utterance in waiting)
            waiting.clear()

        for raw, length in _blocks(parts, BLOCK):
            block = dc_blocker.process(raw)
            contents.samples += length
            probability = self._vad.probability(block)
            contents.speech += length if probability >= self._config.vad.onset else 0
            waiting.extend(segmenter.push(block, probability))
            if contents.whole is not None:
                contents.whole.append(block[:length])
                if contents.samples > WHOLE_S * RATE:
                    contents.whole = None
            # Segments of a short recording are classified only on request.
            if contents.whole is None:
                classify_waiting()
        waiting.extend(segmenter.flush())
        if contents.whole is None or segments:
            classify_waiting()

    def _segment(self, utterance: Utterance) -> Segment:
        result = self._classifier.classify(utterance.samples)
        return Segment(
            start_s=round(utterance.first_block * BLOCK / RATE, 3),
            duration_s=utterance.duration_ms / 1000,
            event_type=result.event_type,
            confidence=round(result.confidence, 3),
            probabilities={label: round(share, 6) for label, share in result.probabilities.items()},
        )

    def _decide(self, probabilities: dict[str, float]) -> str:
        best = max(probabilities, key=lambda label: probabilities[label])
        return best if probabilities[best] >= self._threshold else UNCERTAIN


def printable(name: str) -> str:
    """Replace the bytes of a file name that are not UTF-8: Linux allows them, JSON does not."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def average(segments: Iterable[Segment]) -> dict[str, float]:
    """Average the logits of segments, weighted by length: a normalised geometric mean of their probabilities."""
    total = dict.fromkeys(LABELS, 0.0)
    weight = 0.0
    for segment in segments:
        weight += segment.duration_s
        for label in LABELS:
            total[label] += segment.duration_s * math.log(max(segment.probabilities[label], 1e-9))
    if not weight:
        return dict.fromkeys(LABELS, 1 / len(LABELS))
    shares = {label: math.exp(value / weight) for label, value in total.items()}
    return {label: share / sum(shares.values()) for label, share in shares.items()}


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
