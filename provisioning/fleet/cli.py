"""The command line of `roomtone fleet`: certificates of a site, kept in one folder, and its model releases."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError
from provisioning.publish import cli as models

EPILOG: Final = """examples:
  roomtone fleet init --broker hub.local --broker 192.168.1.10     a site: authority, broker, access list
  roomtone fleet deploy --to /etc/mosquitto/roomtone               copy its files to the broker of this machine
  roomtone fleet enrol kitchen                                     joins/kitchen.join: carry it to the device
  roomtone fleet enrol kitchen --csr kitchen.csr                   the same, the key stays at the device
  roomtone fleet request kitchen --key kitchen.key --out kitchen.csr        at the device, for the line above
  roomtone fleet enrol main --role recorder                        a client that is not a device
  roomtone fleet list                                              who has a certificate, and until when
  roomtone fleet renew --due                                       new certificates where less than 30 days are left
  roomtone fleet revoke kitchen                                    a stolen device: locked out
@MODELS@
More in docs/fleet.md and docs/updates.md.
"""

ROLES: Final = ("device", "subscriber", "recorder", "operator")
DAYS: Final = 730


def register(subparsers: Any) -> None:
    """Add `fleet` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "fleet",
        help="certificates of a site (enrol, renew, revoke) and its models (publish, push, withdraw)",
        description="A certificate authority of your own for the broker and all its clients.",
        epilog=EPILOG.replace("@MODELS@\n", models.EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--site", type=Path, default=Path("site"), metavar="DIR", help="the site's folder (default: ./site)"
    )
    verbs = parser.add_subparsers(metavar="COMMAND", dest="verb", required=True)
    _init(verbs)
    _deploy(verbs)
    _enrol(verbs)
    _others(verbs)
    models.register(verbs, _command)


def _command(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int] | None, text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def _init(verbs: Any) -> None:
    parser = _command(verbs, "init", _run("init"), "make a site; refuses a folder that is not empty")
    parser.add_argument(
        "--broker",
        action="append",
        required=True,
        dest="hosts",
        metavar="HOST",
        help="name or address of the broker, as clients reach it; again for further ones (clients use the first)",
    )
    parser.add_argument(
        "--name", default="home", help="what the certificates call the site (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8883, help="port of the broker (default: %(default)s)")
    parser.add_argument(
        "--base-topic",
        default="roomtone",
        metavar="TOPIC",
        help="first level or levels of every topic (default: %(default)s)",
    )
    parser.add_argument(
        "--homeassistant-prefix",
        default="homeassistant",
        metavar="TOPIC",
        help="first level of Home Assistant's discovery topics (default: %(default)s)",
    )
    _days(parser)


def _deploy(verbs: Any) -> None:
    text = "copy the broker's files to where it reads them and restart it; then `enrol`, `renew` and `revoke` do so"
    parser = _command(verbs, "deploy", _run("deploy"), text)
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="for example /etc/mosquitto/roomtone (default: as before)"
    )
    parser.add_argument("--data", metavar="DIR", help="the broker's database (default: /var/lib/mosquitto/)")
    parser.add_argument(
        "--owner", metavar="USER", help="the broker's user, name or number (default: mosquitto)"
    )
    parser.add_argument(
        "--restart",
        metavar="COMMAND",
        help="what restarts the broker (default: systemctl restart mosquitto; empty: the broker restarts when "
        "DIR/generation changes)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST",
        help="where this machine reaches the broker, to see what is in force (default: 127.0.0.1)",
    )


def _enrol(verbs: Any) -> None:
    parser = _command(verbs, "enrol", _run("enrol"), "a certificate for a new client, and its join file")
    parser.add_argument("node", help="a device's node id, or the name of another client")
    parser.add_argument(
        "--role", choices=ROLES, default="device", help="what it may do (default: %(default)s)"
    )
    parser.add_argument(
        "--csr",
        type=Path,
        metavar="FILE",
        help="a signing request (PEM): the private key stays where it was made",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the join file (default: joins/NAME.join in the site)"
    )
    _days(parser)
    parser = _command(
        verbs, "request", _run("request"), "at the device: make a key and a signing request for `enrol --csr`"
    )
    parser.add_argument("node", help="the node id of this device")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="where the new private key goes (0600)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the request goes")


def _others(verbs: Any) -> None:
    parser = _command(verbs, "list", _run("list_certificates"), "who has a certificate, and until when")
    parser.add_argument("--json", action="store_true", help="one JSON array, revoked ones included")
    parser = _command(
        verbs, "revoke", _run("revoke"), "lock a client out for ever (its name can be enrolled again)"
    )
    parser.add_argument("name", help="as `list` shows it")
    parser = _command(
        verbs, "renew", _run("renew"), "new certificates for the same keys: the join files are no secrets"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="as `list` shows them; `broker` is the broker"
    )
    parser.add_argument("--due", action="store_true", help="all that end within 30 days, the broker's too")
    _days(parser)


def _days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=DAYS, help="how long certificates are valid (default: %(default)s)"
    )


def _run(command: str) -> Callable[[argparse.Namespace], int]:
    """Return a function that loads the command only when it runs, and names a missing library."""

    def run(options: argparse.Namespace) -> int:
        try:
            from provisioning.fleet import commands
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("cryptography"):
                raise
            raise UserError(
                "`roomtone fleet` needs a library: install the extra fleet (docs/install.md)"
            ) from None
        if not 1 <= getattr(options, "days", 1) <= 7300:
            raise UserError("--days: from 1 to 7300")
        action: Callable[[argparse.Namespace], int] = getattr(commands, command)
        return action(options)

    return run
