"""`roomtone classify`: in what tone is this said?

A file of up to a minute is one utterance, as the microphone's would be: the classifier leaves out the silence at
both ends and averages windows of 3 s. Of a longer one, only the stretches in which somebody speaks are classified,
and their results averaged by length; so an hour takes no more memory than a minute. Where the voice activity detector
hears nobody at all, the answer is `uncertain`, whatever the network says of the noise.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edge.protocol.messages import UNCERTAIN
from edge.util.errors import UserError

if TYPE_CHECKING:
    from edge.audio.files import AudioFile
    from edge.audio.segmenter import Samples
    from edge.audio.vad import Vad
    from edge.config.settings import Config
    from edge.inference.classifier import Classifier, Result

WHOLE_S: Final = 60.0
MIN_S: Final = 0.1
BAR: Final = 24


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of speech in a file."""

    start_s: float
    duration_s: float
    event_type: str
    confidence: float
    probabilities: dict[str, float]


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is printed for one file with `--json`."""

    file: str
    event_type: str
    confidence: float
    probabilities: dict[str, float]
    duration_s: float
    speech_s: float
    """How much of it is speech, as the voice activity detector hears it."""
    model: str
    segments: tuple[Segment, ...] | None = None


def register(subparsers: Any) -> None:
    """Adds `roomtone classify`."""
    parser = subparsers.add_parser(
        "classify",
        help="in what tone is a recording spoken?",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0, or 2 when a file could not be read (the others are classified all the same).",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="WAV, FLAC, Opus, MP3, ..., any rate; `-`: standard input"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line for each file; `error` in one that cannot be read",
    )
    parser.add_argument("--segments", action="store_true", help="also each stretch of speech by itself")
    parser.add_argument(
        "--bundle", default="base", help="model: a folder, a full name or a family (default: base)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Classifies each file; goes on after one that cannot be read. Raises `UserError` without a model."""
    from edge.audio.vad import make_vad
    from edge.config.load import load
    from edge.inference import bundle
    from edge.inference.classifier import Classifier

    config = load()
    reader = Reader(config, make_vad(config), Classifier(bundle.load(bundle.find(options.bundle))))
    failed = False
    for name in options.files:
        try:
            answer = reader.answer(name, segments=options.segments)
        except UserError as error:
            failed = True
            print(f"roomtone: {error}", file=sys.stderr, flush=True)
            if options.json:
                print(msgspec.json.encode({"file": _shown(name), "error": str(error)}).decode(), flush=True)
            continue
        print(msgspec.json.encode(answer).decode() if options.json else picture(answer), flush=True)
    return 2 if failed else 0


@dataclass
class _Heard:
    """What has been heard of one file so far."""

    samples: int = 0
    speech: int = 0
    whole: list[Samples] | None = field(default_factory=list)
    """All of it, while it is short enough."""
    segments: list[Segment] = field(default_factory=list)


class Reader:
    """Classifies files, one after another."""

    def __init__(self, config: Config, vad: Vad, classifier: Classifier) -> None:
        self._config = config
        self._vad = vad
        self._classifier = classifier
        self._threshold = classifier.bundle.manifest.abstain_below

    def answer(self, name: str, *, segments: bool) -> Answer:
        """The answer for one file. Raises `UserError` when it cannot be read or is too short."""
        from edge.audio.files import RATE, AudioFile, AudioFileError

        heard = _Heard()
        with AudioFile(name) as file:
            self._listen(_with_progress(file), heard, segments=segments)
            shown = file.name
        seconds = heard.samples / RATE
        if seconds < MIN_S:
            raise AudioFileError(
                f"{shown}: only {1000 * seconds:.3g} ms long; at least {1000 * MIN_S:.0f} ms are needed"
            )
        if heard.whole is not None:
            result = self._classifier.classify(np.concatenate(heard.whole))
            probabilities = result.probabilities
            event_type = result.event_type
        else:
            probabilities = average(heard.segments)
            event_type = self._decide(probabilities)
        return Answer(
            file=_shown(name),
            event_type=event_type if heard.speech else UNCERTAIN,
            confidence=round(max(probabilities.values()), 3),
            probabilities={label: round(share, 3) for label, share in probabilities.items()},
            duration_s=round(seconds, 3),
            speech_s=round(heard.speech / RATE, 3),
            model=self._classifier.bundle.full_name,
            segments=tuple(heard.segments) if segments else None,
        )

    def _listen(self, parts: Iterable[Samples], heard: _Heard, *, segments: bool) -> None:
        from edge.audio.files import RATE
        from edge.audio.segmenter import BLOCK, Segmenter, Utterance

        segmenter = Segmenter(self._config)
        self._vad.reset()
        waiting: list[Utterance] = []

        def classify_waiting() -> None:
            heard.segments.extend(self._segment(utterance) for utterance in waiting)
            waiting.clear()

        for block, length in _blocks(parts, BLOCK):
            heard.samples += length
            probability = self._vad.probability(block)
            heard.speech += length if probability >= self._config.vad.onset else 0
            waiting.extend(segmenter.push(block, probability))
            if heard.whole is not None:
                heard.whole.append(block[:length])
                if heard.samples > WHOLE_S * RATE:
                    heard.whole = None
            # Stretches of a short file are classified only where somebody asked for them.
            if heard.whole is None:
                classify_waiting()
        waiting.extend(segmenter.flush())
        if heard.whole is None or segments:
            classify_waiting()

    def _segment(self, utterance: Any) -> Segment:
        from edge.audio.files import RATE
        from edge.audio.segmenter import BLOCK

        result: Result = self._classifier.classify(utterance.samples)
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


def _shown(name: str) -> str:
    """A file's name as text: Linux allows bytes in it that are not UTF-8, and JSON does not."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def average(segments: Iterable[Segment]) -> dict[str, float]:
    """The mean of the logits, weighted by length: the same as a geometric mean of shares that are made to sum to 1."""
    from edge.protocol.messages import LABELS

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


def picture(answer: Answer) -> str:
    """The answer for people: a line, and a bar for each label."""
    note = "" if answer.speech_s else "; nobody is heard speaking"
    name = "standard input" if answer.file == "-" else answer.file
    lines = [f"{name}: {answer.event_type}, {answer.confidence:.0%} ({answer.duration_s:.1f} s{note})"]
    for label, share in sorted(answer.probabilities.items(), key=lambda pair: -pair[1]):
        lines.append(f"  {label:<10} {'█' * round(share * BAR):<{BAR}} {share:4.0%}")
    for segment in answer.segments or ():
        minutes, seconds = divmod(segment.start_s, 60)
        place = f"{minutes:3.0f}:{seconds:05.2f}  {segment.duration_s:5.2f} s"
        lines.append(f"  {place}  {segment.event_type:<10} {segment.confidence:4.0%}")
    return "\n".join(lines)


def _blocks(parts: Iterable[Samples], size: int) -> Iterator[tuple[Samples, int]]:
    """Blocks of equal size and how much of each is sound; the last one is filled up for the detector's sake."""
    rest: Samples = np.zeros(0, np.int16)
    for part in parts:
        pending = np.concatenate((rest, part))
        whole = pending.size // size * size
        for start in range(0, whole, size):
            yield pending[start : start + size], size
        rest = pending[whole:]
    if rest.size:
        yield np.concatenate((rest, np.zeros(size - rest.size, np.int16))), rest.size


def _with_progress(file: AudioFile) -> Iterator[Samples]:
    """Shows how far a long file is on a terminal, and cleans up after itself."""
    from edge.audio.files import RATE

    total = file.seconds
    if total is None or total < WHOLE_S or not sys.stderr.isatty():
        yield from file
        return
    begun, shown, done = time.monotonic(), 0.0, 0
    try:
        for part in file:
            yield part
            done += part.size
            now = time.monotonic()
            if now - shown > 0.2:
                shown = now
                share = min(1.0, done / RATE / total)
                left = (now - begun) * (1 - share) / share if share else 0.0
                bar = "#" * round(share * 30)
                name = Path(file.name).name[:30]
                print(
                    f"\r{name} [{bar:<30}] {share:4.0%}, {left:.0f} s left ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
