"""`roomtone hub`: the hub as a whole, accounts, demo data, backup and restore."""

from __future__ import annotations

import argparse
import os
from typing import Any, Final

from dashboard.admin import (
    backup,
    demo_data,
    serve,
    setup,
    users,
)

DATABASE: Final = "ROOMTONE_DATABASE"

EPILOG: Final = f"""The database is that of the recorder: --database URL, or the variable {DATABASE}.

examples:
  roomtone hub user add ann --role viewer             asks for a password; --generate makes one
  roomtone hub user token ann --label "wall display"  a token for a program: Authorization: Bearer TOKEN
  roomtone hub user list --json
  roomtone hub simulate --rooms 12 --days 30          a made-up month; --remove takes it away again
  roomtone hub backup --to roomtone-backup.db
  roomtone hub run --host hub.local --lan             the whole hub on this machine, without Docker
"""


def register(subparsers: Any) -> None:
    """Adds the sub-command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "hub",
        help="run a hub; its accounts, demo data, backup and restore",
        description="What whoever keeps the hub does at a terminal.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    users.register(verbs)
    demo_data.register(verbs)
    setup.register(verbs)
    serve.register(verbs)
    backup.register(verbs)


def add_database(parser: argparse.ArgumentParser) -> None:
    """The option of every verb that works on the database."""
    parser.add_argument(
        "--database",
        default=os.environ.get(DATABASE),
        metavar="URL",
        help=f"sqlite:////folder/file.db or postgresql+psycopg://user@host/name (default: ${DATABASE})",
    )
