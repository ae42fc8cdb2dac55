"""The command-line options of every program that connects to a broker."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.util.errors import UserError

if TYPE_CHECKING:
    from edge.mqtt.address import BrokerAddress

PASSWORD_VARIABLE: Final = "ROOMTONE_MQTT_PASSWORD"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--broker`, `--password-file`, `--ca-file`, `--join` and `--base-topic`; `from_options` reads them."""
    parser.add_argument(
        "--broker",
        action="append",
        metavar="URL",
        help="mqtt://[user@]host[:port], or mqtts:// with TLS (default: mqtt://127.0.0.1); the password comes from "
        f"${PASSWORD_VARIABLE}. Given again: further nodes of the same cluster, for when this one fails",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="first line: the broker's password"
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="certificate (PEM) of the authority that signed the broker's, where the system does not know it",
    )
    parser.add_argument(
        "--join",
        type=Path,
        metavar="DIR",
        help="instead: the folder that `roomtone join FILE --to DIR` has made",
    )
    parser.add_argument(
        "--base-topic",
        metavar="TOPIC",
        help="first level or levels of every topic (default: roomtone, or that of the site)",
    )


def from_options(options: argparse.Namespace) -> tuple[BrokerAddress, str]:
    """Return the broker and the base topic, both checked. Raises `UserError`."""
    # Not at the top: `roomtone --help` registers every command, and should not wait for what it does not use.
    from edge.config.load import load
    from edge.mqtt import tls
    from edge.mqtt.address import from_join, parse_all

    base_topic = options.base_topic
    if options.join is not None:
        if options.broker is not None or options.password_file is not None or options.ca_file is not None:
            raise UserError(
                "--join DIR holds all about the broker: leave out --broker, --password-file and --ca-file"
            )
        address, of_site = from_join(options.join)
        base_topic = base_topic or of_site
    else:
        urls = options.broker or ["mqtt://127.0.0.1"]
        address = parse_all(urls, options.password_file, ca_file=options.ca_file)
    # Files that can never work are reported at once, not at every attempt.
    tls.check(address)
    return address, load(overrides={"node.base_topic": base_topic or "roomtone"}).node.base_topic
