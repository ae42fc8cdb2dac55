"""`roomtone dashboard`: the pages, on one port."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from dashboard import server
from dashboard.settings import Settings
from edge.mqtt import options as mqtt_options
from edge.util.errors import UserError

PUBLIC: Final = "ROOMTONE_PUBLIC_HOST"
"""The name under which Caddy gets a public certificate; docker/proxy/Caddyfile."""


def register(subparsers: Any) -> None:
    """Adds the sub-command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "dashboard",
        help="live pages of all rooms, in a browser",
        description="Serves live pages of all rooms that publish to a broker.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: this machine only)"
    )
    parser.add_argument("--port", type=port, default=8080, help="port to serve on (default: %(default)s)")
    mqtt_options.add_options(parser)
    parser.add_argument(
        "--database",
        metavar="URL",
        help="what `roomtone recorder` writes, for the pages that look back; accounts are kept there, too",
    )
    parser.add_argument(
        "--login",
        action="store_true",
        help="people have to log in (always so where other machines can connect; needs --database). The first "
        "start makes an operator and shows the password once; `roomtone hub user` makes more",
    )
    parser.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a TLS proxy in front of this: its word is taken for where requests come from (address or network)",
    )
    tries = parser.add_mutually_exclusive_group()
    tries.add_argument("--no-try-it", action="store_true", help="leave out the page where anyone can try it")
    tries.add_argument(
        "--try-it",
        action="store_true",
        help=f"have it even behind a public certificate (${PUBLIC}), where it is left out otherwise",
    )
    parser.add_argument("--bundle", default="base", help="the model of that page (default: %(default)s)")
    parser.add_argument(
        "--updates",
        type=Path,
        metavar="DIR",
        help="serve the models in this folder to the boxes (`roomtone fleet keys init` makes it: models/hub)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serves until it is told to end."""
    # Loading takes a second or two, and a signal in that time ends it just as well. Not by an exception: whatever is
    # being imported at that moment may swallow it, or make another of it. Nothing is open yet that has to be closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    broker, base_topic = mqtt_options.from_options(options)
    proxies = tuple(network(text) for text in options.proxy)
    listener = server.listen(options.host, options.port)
    here = ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback
    login = options.login or bool(proxies) or not here
    if login and options.database is None:
        raise UserError(
            "a login needs --database URL, where the accounts are kept"
            + ("" if options.login or here else f": --host {options.host} is open to other machines")
        )
    if not here and not proxies:
        logging.warning(
            "passwords come unencrypted over the network of --host %s: put a TLS proxy in front (docs/hub.md)",
            options.host,
        )
    public = bool(os.environ.get(PUBLIC))
    bundle = None if options.no_try_it or (public and not options.try_it) else options.bundle
    own = server.url_of(listener)
    settings = Settings(broker, base_topic, options.database, bundle, login, own, proxies, options.updates)
    return server.serve(settings, listener)


def network(text: str) -> str:
    """The address or network of a proxy. Raises `UserError`."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise UserError(f"--proxy {text}: not an address such as 127.0.0.1 or 172.28.0.0/16") from None


def port(text: str) -> int:
    """A port as `argparse` wants it; 0 is any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number
