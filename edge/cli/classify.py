"""`roomtone classify`: classifies the emotion of recordings."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.util.errors import UserError
from edge.util.loading.garbage import without_garbage_collection
from edge.util.text.terminal import printable

if TYPE_CHECKING:
    from edge.audio.files import AudioFile
    from edge.audio.recordings import RecordingClassifier, RecordingResult
    from edge.audio.segmenter import Samples

BAR: Final = 24
"""Length of the bar of a label."""
PROGRESS_FROM_S: Final = 60.0
"""Length in seconds from which the progress is shown."""

DESCRIPTION: Final = """Classifies the emotion of recordings with the model of this device.

Every stretch of speech is classified like an utterance of the microphone in a new room; the answer is that of their
mean, weighted by length. A recording without speech is `uncertain`.
"""
EPILOG: Final = """examples:
  roomtone classify speech.wav
  roomtone classify --segments --json meeting.flac
  cat speech.opus | roomtone classify -

Exit status: 0, or 2 when a file could not be read (the others are classified all the same).
"""


def register(subparsers: Any) -> None:
    """Add `roomtone classify`."""
    parser = subparsers.add_parser(
        "classify",
        help="classify the emotion of a recording",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="WAV, FLAC, Opus, MP3, ..., any sample rate; `-`: standard input",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per file; it has a key `error` where a file cannot be read",
    )
    parser.add_argument(
        "--segments", action="store_true", help="also classify each stretch of speech separately"
    )
    parser.add_argument(
        "--bundle", default="base", help="model: a folder, a full name or a family (default: base)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Classify each file and continue after errors. Raises `UserError` without a model."""
    import msgspec

    with without_garbage_collection():
        recordings = _prepared(options.bundle)
    from edge.audio.recordings import json_text

    failed = False
    for name in options.files:
        try:
            result = recordings.classify(name, segments=options.segments, progress=_with_progress)
        except UserError as error:
            failed = True
            print(f"roomtone: {printable(str(error))}", file=sys.stderr, flush=True)
            if options.json:
                line = msgspec.json.encode({"file": json_text(name), "error": json_text(str(error))})
                print(line.decode(), flush=True)
            continue
        if result.declared_s is not None:
            print(f"roomtone: {_cut_off(result)}", file=sys.stderr, flush=True)
        print(msgspec.json.encode(result).decode() if options.json else format_result(result), flush=True)
    return 2 if failed else 0


def _prepared(bundle_name: str) -> RecordingClassifier:
    """Load detector and model. Raises `UserError`."""
    from edge.inference import bundle
    from edge.inference.classifier import Classifier
    from edge.util.loading.background import Background

    with Background(lambda: Classifier(bundle.load(bundle.find(bundle_name)))) as loading:
        from edge.audio.recordings import RecordingClassifier
        from edge.audio.vad import make_vad
        from edge.config.load import load

        config = load()
        vad = make_vad(config)
        return RecordingClassifier(config, vad, loading.result(), external=True)


def format_result(result: RecordingResult) -> str:
    """Format a classification as text: one line, a bar for each label, and a line for each segment."""
    note = {
        "no_speech": "; no speech detected",
        "too_short": f"; too little speech, {result.speech_s:.1f} s",
        "unclear": "; no label is clear",
        None: "",
    }[result.uncertain]
    lines = [
        f"{_name(result)}: {result.event_type}, {result.confidence:.0%} ({result.duration_s:.1f} s{note})"
    ]
    for label, share in sorted(result.probabilities.items(), key=lambda pair: -pair[1]):
        lines.append(f"  {label:<10} {'█' * round(share * BAR):<{BAR}} {share:4.0%}")
    if result.arousal is not None:
        lines.append(
            f"  arousal    {result.arousal:+.2f} (-1 far calmer than ordinary speech, 1 far more agitated)"
        )
    for segment in result.segments or ():
        minutes, seconds = divmod(segment.start_s, 60)
        place = f"{minutes:3.0f}:{seconds:05.2f}  {segment.duration_s:5.2f} s"
        arousal = "" if segment.arousal is None else f"  {segment.arousal:+.2f}"
        lines.append(f"  {place}  {segment.event_type:<10} {segment.confidence:4.0%}{arousal}")
    return "\n".join(lines)


def _name(result: RecordingResult) -> str:
    return "standard input" if result.file == "-" else printable(result.file)


def _cut_off(result: RecordingResult) -> str:
    return (
        f"{_name(result)}: cut off: {result.duration_s:.2f} s of {result.declared_s:.2f} s are there; "
        "copy or record it again"
    )


def _with_progress(file: AudioFile) -> Iterator[Samples]:
    """Iterate over a file and show the progress of a long one on a terminal."""
    from edge.audio.segmenter import RATE

    total = file.seconds
    if total is None or total < PROGRESS_FROM_S or not sys.stderr.isatty():
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
                name = printable(Path(file.name).name)[:30]
                text = f"\r{name} [{bar:<30}] {share:4.0%}, {left:.0f} s left "
                print(text, end="", file=sys.stderr, flush=True)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
