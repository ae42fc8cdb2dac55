"""Where the broker is: `mqtt[s]://[user@]host[:port]`, the password from a safe place; or a site that was joined."""

from __future__ import annotations

import argparse
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.config import join_file
from edge.config.load import load
from edge.util.errors import UserError

DEFAULT_PORT = 1883
TLS_PORT = 8883
PASSWORD_VARIABLE = "ROOMTONE_MQTT_PASSWORD"


@dataclass(frozen=True)
class BrokerAddress:
    """A broker as paho-mqtt wants it."""

    host: str
    port: int = DEFAULT_PORT
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    """Who signed the broker's certificate; empty: the authorities that the system trusts."""
    cert_file: str = ""
    """Our own certificate; empty: none."""
    key_file: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Read anew for every connection, so that renewed certificates need no restart; None without TLS.

        Raises `UserError`.
        """
        if not self.tls:
            return None
        where = self.ca_file
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                where = self.cert_file
                # Without the function OpenSSL would ask for the password of the key on a terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password=lambda: b"")
        except ssl.SSLError:
            raise UserError(f"{where}: not a certificate, or not with its key, in PEM form") from None
        except OSError as error:
            raise UserError(f"{where}: cannot be read ({error.strerror})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every program that reads the broker; `from_options` understands them."""
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="mqtt://[user@]host[:port], or mqtts:// with TLS (default: mqtt://127.0.0.1); the password comes from "
        f"${PASSWORD_VARIABLE}",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="first line: the broker's password"
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="who signed the broker's certificate (PEM), where the system does not know it",
    )
    parser.add_argument(
        "--join",
        type=Path,
        metavar="DIR",
        help="instead: the folder that `roomtone join FILE --to DIR` has made",
    )
    parser.add_argument("--base-topic", metavar="TOPIC", help="(default: roomtone, or that of the site)")


def from_options(options: argparse.Namespace) -> tuple[BrokerAddress, str]:
    """The broker and the checked base topic. Raises `UserError`."""
    base_topic = options.base_topic
    if options.join is not None:
        if options.broker is not None or options.password_file is not None or options.ca_file is not None:
            raise UserError(
                "--join DIR says all of the broker: leave --broker, --password-file and --ca-file away"
            )
        address, of_site = from_join(options.join)
        base_topic = base_topic or of_site
    else:
        url = "mqtt://127.0.0.1" if options.broker is None else options.broker
        address = parse(url, options.password_file, ca_file=options.ca_file)
    # What can never work is said at once, not at every attempt.
    address.tls_context()
    base_topic = load(overrides={"node.base_topic": base_topic or "roomtone"}).node.base_topic
    return address, base_topic


def from_join(folder: Path) -> tuple[BrokerAddress, str]:
    """The broker of a site and its base topic. Raises `UserError`."""
    if not folder.is_dir():
        raise UserError(f"--join {folder}: not a folder; make it with `roomtone join FILE --to {folder}`")
    joined = join_file.read(folder / join_file.ABOUT)
    ca, certificate, key = (
        str(folder / name) for name in (join_file.CA, join_file.CERTIFICATE, join_file.KEY)
    )
    return BrokerAddress(
        joined.host, joined.port, tls=True, ca_file=ca, cert_file=certificate, key_file=key
    ), joined.base_topic


def parse(
    text: str,
    password_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    ca_file: Path | None = None,
) -> BrokerAddress:
    """Reads a broker's address. Raises `UserError`.

    A password never stands in the address: every user of the machine sees the arguments of a process.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UserError(f"--broker {text}: {error}; write mqtt://host:{DEFAULT_PORT}") from None
    if (
        parts.scheme not in ("mqtt", "mqtts")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
    ):
        raise UserError(
            f"--broker {text}: not a broker's address; write mqtt://host or mqtts://user@host:{TLS_PORT}"
        )
    if parts.password is not None:
        raise UserError(
            f"--broker: no password in the address; put it into ${PASSWORD_VARIABLE} or use --password-file FILE"
        )
    tls = parts.scheme == "mqtts"
    if ca_file is not None and not tls:
        raise UserError("--ca-file is for TLS: write --broker mqtts://host")
    password = environment.get(PASSWORD_VARIABLE, "")
    if password_file is not None:
        password = first_line(password_file, "--password-file")
    return BrokerAddress(
        host=parts.hostname,
        port=(TLS_PORT if tls else DEFAULT_PORT) if port is None else port,
        username=unquote(parts.username or ""),
        password=password,
        tls=tls,
        ca_file="" if ca_file is None else str(ca_file),
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
