"""`roomtone hub`: administration of a hub. The verbs are found through entry points."""

from __future__ import annotations

import argparse
from typing import Any, Final

from dashboard.admin.options import DATABASE
from edge.util.entry_points import entry_points

GROUP: Final = "roomtone.hub"
"""Entry points: each is a function that adds one verb to the sub-parsers."""

EPILOG: Final = f"""The database is that of the recorder: --database URL, or the variable {DATABASE}.

examples:
  roomtone hub user add ann --role viewer             asks for a password; --generate creates one
  roomtone hub user token ann --label "wall display"  a token for a program: Authorization: Bearer TOKEN
  roomtone hub user passwd ann --generate
  roomtone hub user role ann --role operator
  roomtone hub user remove ann
  roomtone hub user list --json
  roomtone hub simulate --rooms 12 --days 30          simulated data of a month; --remove deletes it
  roomtone hub backup --to roomtone-backup.db
  roomtone hub restore roomtone-backup.db --replace
  roomtone hub setup --dir hub --host hub.local       what `run` does first: certificates and configuration
  roomtone hub run --host hub.local --lan             the whole hub on this machine, without Docker
"""


def register(subparsers: Any) -> None:
    """Add `roomtone hub` with all of its commands that are installed."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "hub",
        help="run a hub; users, simulated data, backup and restore",
        description="Administration of a hub.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for entry in entry_points(GROUP):
        entry.load()(verbs)
