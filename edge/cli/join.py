"""`roomtone join`: takes a join file of `roomtone fleet enrol` to pieces, where the client is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from edge.config import join_file
from edge.util.errors import UserError

EPILOG: Final = """examples:
  roomtone join kitchen.join --to /etc/roomtone/site
  roomtone join kitchen.join --to /etc/roomtone/site --key kitchen.key    the key was made here
  roomtone join kitchen.join --to /etc/roomtone/site                      again, with a renewed one: the key stays
"""


def register(subparsers: Any) -> None:
    """Adds `join` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "join",
        help="unpack a join file: certificates into a folder, settings to standard output",
        description="Writes ca.crt, client.crt and client.key (mode 0600) into a folder, and prints the settings that "
        "use them. A running link takes renewed files at its next connection.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="from `roomtone fleet enrol` or `renew`")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="made where it is missing, mode 0700"
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the private key, where it never left this machine"
    )
    parser.add_argument("--json", action="store_true", help="the settings as one JSON object of dotted keys")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Unpacks. Raises `UserError`."""
    found = join_file.read(options.file)
    if found.key and options.key is not None:
        raise UserError(f"{options.file} brings its own key: leave --key away")
    settings = join_file.unpack(found, options.to.absolute(), options.key)
    if options.json:
        print(json.dumps(settings))
    else:
        print(_toml(settings), end="")
    print(f"{found.name} belongs to {found.site!r} until {found.expires[:10]}", file=sys.stderr)
    if found.key:
        print(f"the key is in {options.to} now: delete {options.file}", file=sys.stderr)
    return 0


def _toml(settings: dict[str, Any]) -> str:
    sections: dict[str, list[str]] = {}
    for dotted, value in settings.items():
        section, _, key = dotted.partition(".")
        # A JSON string, number or boolean is one of TOML as well.
        sections.setdefault(section, []).append(f"{key} = {json.dumps(value)}")
    return "\n".join("\n".join([f"[{name}]", *lines, ""]) for name, lines in sections.items())
