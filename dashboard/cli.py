"""`roomtone dashboard`: the pages, on one port."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from dashboard import address, server
from dashboard.settings import Settings
from edge.errors import UserError


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
    address.add_options(parser)
    parser.add_argument(
        "--storage-secret-file",
        type=Path,
        metavar="FILE",
        help="first line: signs the readers' session cookies",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="what `roomtone recorder` writes, for the pages that look back",
    )
    parser.add_argument("--no-try-it", action="store_true", help="leave out the page where anyone can try it")
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
    # Loading takes a second or two, and a signal in that time ends it just as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    broker, base_topic = address.from_options(options)
    secret = None
    if options.storage_secret_file is not None:
        secret = address.first_line(options.storage_secret_file, "--storage-secret-file")
        if len(secret) < 32:
            raise UserError(
                "--storage-secret-file: at least 32 characters; make one with `openssl rand -hex 32`"
            )
    listener = server.listen(options.host, options.port)

    if not ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback:
        logging.warning(
            "there is no login yet: everybody in the network of --host %s sees these pages", options.host
        )
    bundle = None if options.no_try_it else options.bundle
    settings = Settings(broker, base_topic, options.database, bundle, secret, options.updates)
    return server.serve(settings, listener)


def port(text: str) -> int:
    """A port as `argparse` wants it; 0 is any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number
