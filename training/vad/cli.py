"""The command line of `roomtone train vad`; what it does is loaded when it is run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

OUTPUT: Final = Path(__file__).parents[2] / "edge" / "audio" / "silero_vad.tflite"
DESCRIPTION: Final = """Converts Silero's published ONNX file to the TFLite file of the device and compares both.

The original is in the wheel `silero-vad` on PyPI (`pip download --no-deps silero-vad`, or `pip install --no-deps`:
it declares torch, which is not needed here). Nothing is written unless the new file agrees with the old one.
"""


def register(subparsers: Any) -> None:
    """Add the sub-command `vad` of `roomtone train` to the parser."""
    parser = subparsers.add_parser(
        "vad",
        help="build the voice activity detector from Silero's published weights",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="PATH",
        help="the .onnx file, the wheel or its unpacked folder (default: the installed package)",
    )
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where to write (default: %(default)s)")
    parser.add_argument(
        "--check",
        type=Path,
        nargs="+",
        metavar="AUDIO",
        help="speech that both are compared on (default: Debian's pocketsphinx-testdata)",
    )
    parser.add_argument(
        "--golden", type=Path, metavar="NPZ", help="also write the original's answers, for the unit test"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Build the detector; returns the exit status. Raises `BuildError`."""
    from training.vad import build

    return build.run(options)
