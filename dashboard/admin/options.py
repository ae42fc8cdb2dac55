"""Command-line options that several verbs of `roomtone hub` share."""

from __future__ import annotations

import argparse
import os
from typing import Final

DATABASE: Final = "ROOMTONE_DATABASE"
"""Environment variable: the default of `--database`."""


def add_database(parser: argparse.ArgumentParser) -> None:
    """Add the option `--database`, the URL of the database, to a parser."""
    parser.add_argument(
        "--database",
        default=os.environ.get(DATABASE),
        metavar="URL",
        help=f"sqlite:////folder/file.db or postgresql+psycopg://user@host/name (default: ${DATABASE})",
    )
