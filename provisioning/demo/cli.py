"""`roomtone demo`: microphone or recordings, broker, recorder and dashboard on one machine."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.config import model_folders
from edge.util.errors import UserError
from edge.util.service.stop_signals import call_on_signals
from provisioning.demo import playback_dirs

if TYPE_CHECKING:
    from provisioning.demo.session import DemoSession

DESCRIPTION: Final = """Runs everything on this machine until Ctrl-C: a broker, a recorder, the dashboard, and an ear
and a link for each room. All of it answers to this machine only, and nothing is left behind."""

EPILOG: Final = """examples:
  ./run demo                              recorded voices in two rooms (Debian's pocketsphinx-testdata), noise in one
  ./run demo --mic                        your microphone
  ./run demo --playback ~/recordings      a folder of WAV, FLAC or Opus files, played in real time
  ./run demo --playback a --playback b --speed 4
                                          two rooms at once, four times as fast
  ./run demo --seconds 60 --json          events as JSON lines, then a summary; exit status 0 if events came back
"""

MAX_RESTARTS: Final = 3
"""A process that was restarted more often is broken, whatever else arrived."""


def register(commands: Any) -> None:
    """Add `roomtone demo` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="run everything on this machine: broker, recorder, dashboard, and an ear and a link for each room",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_rooms(parser)
    parser.add_argument(
        "--model",
        default="base",
        metavar="BUNDLE",
        help="the model: base, small, or a folder (default: base)",
    )
    parser.add_argument(
        "--seconds",
        type=number(86_400),
        metavar="N",
        help="stop after N seconds of listening, with a summary",
    )
    parser.add_argument(
        "--port", type=port, default=8080, help="port of the page (default: 8080, or a free one)"
    )
    parser.add_argument(
        "--mqtt-port", type=port, default=1883, help="port of the broker (default: 1883, or a free one)"
    )
    parser.add_argument(
        "--embedded-broker",
        action="store_true",
        help="use the broker from PyPI even if mosquitto is installed",
    )
    parser.add_argument(
        "--no-history",
        action="store_false",
        dest="history",
        help="no recorder, no simulated month and no alert rule: live pages only",
    )
    parser.add_argument("--json", action="store_true", help="print events and the summary as JSON lines")
    parser.add_argument("--verbose", action="store_true", help="show the log of every process")
    parser.set_defaults(run=run)


def _add_rooms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mic",
        action="append",
        nargs="?",
        const="",
        default=[],
        metavar="DEVICE",
        help="listen to a microphone (a name of `roomtone devices`; without one: the default)",
    )
    parser.add_argument(
        "--playback",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="a room that plays the recordings of a folder; may be given several times",
    )
    parser.add_argument(
        "--speed", type=number(100), default=1.0, metavar="N", help="play N times as fast (default: 1)"
    )
    parser.add_argument("--once", action="store_true", help="play each folder once and then stop")


def number(most: float) -> Callable[[str], float]:
    """Return an `argparse` type: a number above 0 and at most `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be a number above 0 and at most {most:g}, not '{text}'")
        return value

    return read


def port(text: str) -> int:
    """Parse a TCP port as an `argparse` type; 0 means a free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, or 0 for a free one, not '{text}'")
    return int(text)


def check(options: argparse.Namespace) -> None:
    """Refuse folders and models that are not there, before anything is installed. Raises `UserError`."""
    playback_dirs.require_folders(options.playback)
    if not model_folders.has_bundle(options.model):
        searched = ", ".join(map(str, model_folders.places()))
        raise UserError(
            f"--model {options.model}: no such model bundle, neither as a folder nor in {searched}"
        )


def run(options: argparse.Namespace) -> int:
    """Run the demo; with `--seconds` or `--once` the status is 1 unless events came back, and all of them."""
    # Not at the top: `roomtone --help` registers every command, and should not wait for what it does not use.
    from edge.inference import bundle
    from provisioning.demo.session import DemoSession

    bundle.find(options.model)  # A wrong name is said before a broker is started.
    scratch = Path(tempfile.mkdtemp(prefix="roomtone-"))
    session = DemoSession(options, scratch)
    call_on_signals(session.stopping.set, hang_up=True)
    try:
        session.run()
    finally:
        try:
            session.stop()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    summary = session.summary()
    _print_summary(session, summary)
    steady = all(child.restarts <= MAX_RESTARTS for child in session.children)
    good = steady and summary["events"] > 0 and summary["missing"] == 0 and summary["malformed"] == 0
    return 0 if good or (options.seconds is None and not options.once) else 1


def _print_summary(session: DemoSession, summary: dict[str, Any]) -> None:
    if session.options.json:
        import msgspec

        print(msgspec.json.encode({"summary": summary}).decode(), flush=True)
        return
    session.print(
        f"\n{summary['events']} events in {summary['seconds']:.0f} s came back from the broker, "
        f"{summary['missing']} missing, {summary['malformed']} malformed, {summary['restarts']} restarts"
    )
    for node, counts in sorted(summary["rooms"].items()):
        parts = ", ".join(f"{n} {label}" for label, n in sorted(counts.items(), key=lambda kv: -kv[1]))
        session.print(f"  {node}: {parts or 'no speech'}")
    if summary["events"] == 0 and session.ready:
        session.print(
            "No event came. Is anyone speaking, and does `roomtone doctor` find the model and the microphone?"
        )
