"""Where the broker is: `mqtt://[user@]host[:port]`, with the password from a safe place."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.config import load
from edge.errors import UserError

DEFAULT_PORT = 1883
PASSWORD_VARIABLE = "ROOMTONE_MQTT_PASSWORD"


@dataclass(frozen=True)
class BrokerAddress:
    """A broker as paho-mqtt wants it."""

    host: str
    port: int = DEFAULT_PORT
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every program that reads the broker; `from_options` understands them."""
    parser.add_argument(
        "--broker",
        default="mqtt://127.0.0.1",
        metavar="URL",
        help=f"mqtt://[user@]host[:port] (default: %(default)s); the password comes from ${PASSWORD_VARIABLE}",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="first line: the broker's password"
    )
    parser.add_argument("--base-topic", default="roomtone", metavar="TOPIC", help="(default: %(default)s)")


def from_options(options: argparse.Namespace) -> tuple[BrokerAddress, str]:
    """The broker and the checked base topic. Raises `UserError`."""
    base_topic = load(overrides={"node.base_topic": options.base_topic}).node.base_topic
    return parse(options.broker, options.password_file), base_topic


def parse(
    text: str, password_file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> BrokerAddress:
    """Reads a broker's address. Raises `UserError`.

    A password never stands in the address: every user of the machine sees the arguments of a process.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UserError(f"--broker {text}: {error}; write mqtt://host:{DEFAULT_PORT}") from None
    if parts.scheme != "mqtt" or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UserError(
            f"--broker {text}: not a broker's address; write mqtt://host or mqtt://user@host:{DEFAULT_PORT}"
        )
    if parts.password is not None:
        raise UserError(
            f"--broker: no password in the address; put it into ${PASSWORD_VARIABLE} or use --password-file FILE"
        )
    password = environment.get(PASSWORD_VARIABLE, "")
    if password_file is not None:
        password = first_line(password_file, "--password-file")
    return BrokerAddress(
        host=parts.hostname,
        port=DEFAULT_PORT if port is None else port,
        username=unquote(parts.username or ""),
        password=password,
    )


def first_line(path: Path, option: str) -> str:
    """The first line of a file that holds a secret. Raises `UserError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{option} {path}: cannot be read: {reason}") from None
    if not lines or not lines[0].strip():
        raise UserError(f"{option} {path}: its first line is empty")
    return lines[0].strip()
