"""The options of `./run bench`, `./run bench hub` and `./run bench arm`.

With the standard library alone: they are read before there is an environment (`tests.preflight`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

EAR = """Figures of the ear as a whole process and, in the same run, of the usual way to do the same.

The usual way is wav2vec2-base in `transformers`. It and Roomtone are measured in turn, and ratios are those of each
pair. Latency is from the end of speech to the event at a subscriber, without the hang-over (the silence that has to
pass before speech counts as ended): arrival - (started_at + duration_ms) - hang_over_ms."""

HUB = """The recorder under load, open pages, and how long a room's month takes to draw.

A real mosquitto, real processes, real browsers. On a machine that does other work, too, the figures of CPU time are
those to compare."""

ARM = """Instructions per utterance and second of sound on emulated Raspberry Pis, and the time they take.

Counts are exact and repeatable; milliseconds are an estimate, a range (tests/bench/arm/estimate.py). On x86-64 the same
work is also counted as x86 instructions and timed, which checks whether such a range holds the measured time.
Needs root, for the /proc/cpuinfo of the emulated processor. Instructions of the kernel are not counted."""


def ear() -> argparse.ArgumentParser:
    """`./run bench`."""
    made = _parser(
        "./run bench",
        EAR,
        "examples:\n  ./run bench\n  ./run bench --json > figures.json\n"
        "  ./run bench --only utterance --rounds 3\n  ./run bench --no-peer --seconds 10\n  ./run bench --check\n\n"
        "`./run bench hub --help` and `./run bench arm --help`: for the hub and for emulated Raspberry Pis.\n\n"
        "Exit status: 0; with --check 1 where a figure got more than 10 % worse, 2 where there is nothing to compare.",
    )
    made.add_argument("--json", action="store_true", help="one JSON object on standard output")
    made.add_argument(
        "--seconds", type=above_zero, default=30.0, help="length of each CPU measurement (default: 30)"
    )
    made.add_argument("--events", type=count, default=40, help="events for the latency (default: 40)")
    made.add_argument(
        "--rounds", type=count, default=5, help="pairs of Roomtone and wav2vec2-base (default: 5)"
    )
    made.add_argument("--no-peer", action="store_true", help="leave out wav2vec2-base (PyTorch)")
    made.add_argument(
        "--only",
        action="append",
        choices=("ear", "utterance", "event"),
        help="only this part: the ear's process, 3 s of speech, or end of speech to event",
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="compare ratios with those of the last version in docs/benchmarks",
    )
    made.add_argument(
        "--record", action="store_true", help="keep the figures of this version there, and draw the plot anew"
    )
    made.add_argument(
        "--figures",
        type=existing_file,
        nargs="+",
        metavar="FILE",
        help="take the figures from files of --json (parts, each of its own run), measure nothing",
    )
    return made


def hub() -> argparse.ArgumentParser:
    """`./run bench hub`."""
    made = _parser(
        "./run bench hub",
        HUB,
        "examples:\n  ./run bench hub\n  ./run bench hub --only postgresql --rate 3000 --seconds 60\n"
        "  ./run bench hub --only memory --json",
    )
    made.add_argument("--rate", type=count, default=2000, help="events a second (default: %(default)s)")
    made.add_argument(
        "--rooms", type=count, default=10_000, help="rooms of the events (default: %(default)s)"
    )
    made.add_argument("--seconds", type=above_zero, default=300.0, help="length of the load (default: 300)")
    made.add_argument(
        "--month", type=count, default=100_000, help="events of the month (default: %(default)s)"
    )
    made.add_argument("--sockets", type=int, default=50, help="open pages (default: %(default)s)")
    made.add_argument("--browsers", type=int, default=10, help="real ones besides (default: %(default)s)")
    made.add_argument("--rounds", type=count, default=10, help="first pages (default: %(default)s)")
    made.add_argument(
        "--only", choices=("sqlite", "postgresql", "month", "memory", "pages"), help="only this part"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return made


def arm() -> argparse.ArgumentParser:
    """`./run bench arm`."""
    made = _parser(
        "./run bench arm",
        ARM,
        "examples:\n  ./run bench arm\n  ./run bench arm --json > arm.json\n"
        "  ./run bench arm --only pi4 --no-silence",
    )
    made.add_argument("--json", action="store_true", help="one JSON object on standard output")
    made.add_argument("--only", choices=("pi4", "pi5", "check"), help="only one of the machines")
    made.add_argument(
        "--no-silence", action="store_true", help="without the whole ear (two minutes for each Pi)"
    )
    return made


def above_zero(text: str) -> float:
    """An `argparse` type: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not '{text}'")
    return value


def count(text: str) -> int:
    """An `argparse` type: a whole number from 1 on."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not '{text}'")
    return int(text)


def existing_file(text: str) -> Path:
    """An `argparse` type: a file that is there."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return Path(text)


def _parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
