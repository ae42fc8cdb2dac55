"""The options of `./run fuzz`.

With the standard library alone: they are read before there is an environment (`tests.preflight`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench.options import count

TARGETS = ("intake", "command", "configuration")

DESCRIPTION = """atheris looks for bytes that break a target, guided by the code that they reach.

Each target runs in a process of its own for its share of the time, begins with examples, and exits with 0 when
nothing was found. What breaks it is kept as `artefacts/fuzz/TARGET-crash-...`."""


def parser() -> argparse.ArgumentParser:
    """`./run fuzz`."""
    made = argparse.ArgumentParser(
        prog="./run fuzz", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--seconds", type=count, default=300, metavar="N", help="for all targets together (default: 300)"
    )
    made.add_argument("--target", choices=TARGETS, help="only this one")
    made.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return made
