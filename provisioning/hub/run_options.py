"""The options of `roomtone hub run`, and what can be refused before anything is installed or made.

With the standard library alone: `./run hub` looks at them before there is an environment (`provisioning.preflight`).
"""

from __future__ import annotations

import argparse
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from edge.util.errors import UserError
from edge.util.local_ports import bind_error, find_server
from provisioning.fleet.console import checked_hosts

DEFAULT_PORT: Final = 8883
"""Of the broker."""
FIRST_FREE: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""The first port that every user may open."""


def add_parser(verbs: Any, name: str) -> argparse.ArgumentParser:
    """Add the command to sub-parsers of `argparse`, and return its parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help="broker, recorder, dashboard and TLS proxy on this machine, until Ctrl-C",
        description="Runs a whole hub from Debian's mosquitto and caddy, without Docker.",
    )
    add_machine_options(parser)
    parser.add_argument(
        "--lan",
        action="store_true",
        help="accept devices and browsers of the network (default: this machine only)",
    )
    parser.add_argument(
        "--https-port", type=int, default=8443, metavar="N", help="port of the pages (default: %(default)s)"
    )
    parser.add_argument(
        "--database", metavar="URL", help="as of `roomtone recorder` (default: SQLite in DIR/data)"
    )
    parser.add_argument(
        "--guest-links",
        action="store_true",
        help="let operators invite a guest to *Try it*, by a link that works once within ten minutes",
    )
    parser.add_argument(
        "--try-it",
        action="store_true",
        help="with the page *Try it*, which classifies what a browser records, even with a public certificate",
    )
    group = parser.add_argument_group("notifications of alerts, as in `roomtone dashboard --help`")
    group.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network that may be notified, too",
    )
    group.add_argument(
        "--smtp", metavar="URL", help="smtp://user@host; the password is in $ROOMTONE_SMTP_PASSWORD"
    )
    group.add_argument("--mail-from", metavar="ADDRESS", help="sender of e-mails")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print every line of every program, such as the broker's connections (default: what needs attention)",
    )
    return parser


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the folder and the names of the machine."""
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("hub"),
        help="folder for everything that the hub keeps (default: ./hub)",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address by which devices and browsers reach this machine; can be given more than once "
        "(default: as at the first start)",
    )
    parser.add_argument(
        "--mqtt-port",
        type=int,
        metavar="N",
        help=f"port of the broker (default: as at the first start, which takes {DEFAULT_PORT})",
    )


def parse_hosts(given: Iterable[str]) -> list[str]:
    """Return the names of `--host`, of which each may be a list such as `hub.local, https://192.168.1.10`."""
    words = (word for text in given for word in re.split(r"[,\s]+", text))
    return list(checked_hosts((word.removeprefix("https://") for word in words if word), "--host"))


def require_port(port: int, option: str) -> None:
    """Raise `UserError` for a number that no TCP port has."""
    if not 1 <= port <= 65_535:
        raise UserError(f"{option} {port}: from 1 to 65535")


def check(options: argparse.Namespace) -> None:
    """Refuse what can never work. Raises `UserError`."""
    parse_hosts(options.host)
    for option, port in (("--mqtt-port", options.mqtt_port), ("--https-port", options.https_port)):
        if port is not None:
            require_port(port, option)
    if options.https_port == options.mqtt_port:
        raise UserError(f"--https-port {options.https_port}: the broker has this port; choose another one")
    if options.dir.exists() and not options.dir.is_dir():
        raise UserError(f"--dir {options.dir}: is no folder; name one that is there, or a new one")


def check_ports(options: argparse.Namespace, mqtt_port: int | None) -> None:
    """Refuse ports that the hub's programs could not open: in use, or kept for root. Raises `UserError`.

    Two brokers or proxies would take turns at the connections, or end again and again. `mqtt_port`: None where it is
    not known yet.
    """
    address = "0.0.0.0" if options.lan else "127.0.0.1"
    for option, port, program in (
        ("--mqtt-port", mqtt_port, "mosquitto"),
        ("--https-port", options.https_port, "caddy"),
    ):
        code = 0 if port is None else bind_error(port, address)
        if code == errno.EACCES:
            _require_capability(program, f"{option} {port}")
        elif code:
            raise UserError(f"port {port} is in use: does a hub run here already? Another port: {option} N")


def check_before_installation(options: argparse.Namespace) -> None:
    """All of this, where the port of a hub that was made before is not known yet. Raises `UserError`."""
    check(options)
    is_new = not (options.dir / "site").exists()
    check_ports(options, options.mqtt_port or (DEFAULT_PORT if is_new else None))


def _require_capability(program: str, given: str) -> None:
    """Raise `UserError` unless the program's file has capabilities, by which it may open any port (`setcap`)."""
    path = find_server(program)
    try:
        if path is not None and os.getxattr(os.path.realpath(path), "security.capability"):
            return
    except OSError:
        pass  # It has none.
    raise UserError(
        f"{given}: an ordinary user may open ports from {FIRST_FREE.read_text(encoding='ascii').strip()} on: choose "
        "such a one, or install the hub as services (provisioning/hub/install.sh), which have port 443"
    )
