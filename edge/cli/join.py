"""`roomtone join`: unpacks a join file of `roomtone fleet enrol` on the client."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError

EPILOG: Final = """examples:
  roomtone join kitchen.join --to kitchen-site --code ABCDE-FGHIJ-KLMNO
  roomtone join kitchen.join --to kitchen-site --key kitchen.key    with a key that was made here
  roomtone join kitchen.join --to kitchen-site                      again after a renewal; keeps the key
A device that was installed takes the file by: sudo provisioning/install.sh --join kitchen.join
"""


def register(subparsers: Any) -> None:
    """Add `roomtone join`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "join",
        help="unpack a join file: certificates into a folder, settings to standard output",
        description="Writes ca.crt, client.crt and client.key (mode 0600) into a folder, and prints the settings that "
        "use them. A running link uses renewed files at its next connection.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="from `roomtone fleet enrol` or `renew`")
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the certificates, created with mode 0700",
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the private key, where it was made on this machine"
    )
    parser.add_argument(
        "--code",
        metavar="CODE",
        help="what `fleet enrol` showed: the first file of a site needs it (default: it is asked for)",
    )
    parser.add_argument(
        "--accept-unconfirmed", action="store_true", help="accept the first file of a site without its code"
    )
    parser.add_argument(
        "--new-site", action="store_true", help="accept a site other than the one whose files are in DIR"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the settings as one JSON object with dotted keys"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Unpack the file and print the settings. Raises `UserError`."""
    from edge.config import join_file
    from edge.config.template import document_of
    from edge.releases import join_trust

    found = join_file.read(options.file)
    if found.key and options.key is not None:
        raise UserError(f"{options.file} contains a key: omit --key")
    consent = join_trust.Consent(
        options.code, options.new_site, options.accept_unconfirmed, join_trust.ask_at_terminal
    )
    note = join_trust.check(found, options.to.absolute(), consent)
    settings = join_file.unpack(found, options.to.absolute(), options.key)
    if options.json:
        print(json.dumps(settings))
    else:
        print(document_of(settings).as_string(), end="")
    if note:
        print(note, file=sys.stderr)
    print(f"{found.name} belongs to {found.site!r} until {found.expires[:10]}", file=sys.stderr)
    if found.key:
        print(f"the key has been copied to {options.to}: delete {options.file}", file=sys.stderr)
    return 0
