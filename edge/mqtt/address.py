"""Where the broker is, and as whom we connect: from a URL, from the configuration or from a site that was joined."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

from edge.config import join_file
from edge.config.settings import Config
from edge.mqtt.options import PASSWORD_VARIABLE
from edge.util.errors import UserError
from edge.util.hostnames import normalized

DEFAULT_PORT: Final = 1883
TLS_PORT: Final = 8883
SCHEMES: Final = {"mqtt": False, "mqtts": True}


@dataclass(frozen=True)
class Names:
    """How the settings are called where the user gave them: every remedy names one of these."""

    host: str
    port: str
    user: str
    password_file: str
    tls_on: str
    tls_off: str
    ca_file: str
    certificate: str
    version: str
    client_id: str


CONFIG_NAMES: Final = Names(
    host="`mqtt.host`",
    port="`mqtt.port`",
    user="`mqtt.username` and `mqtt.password_file`",
    password_file="`mqtt.password_file`",
    tls_on="set `mqtt.tls = true`",
    tls_off="set `mqtt.tls = false`",
    ca_file="`mqtt.ca_file`",
    certificate="`mqtt.cert_file` and `mqtt.key_file`",
    version="`mqtt.version`",
    client_id="give every device its own `node.id`",
)
OPTION_NAMES: Final = Names(
    host="the host in `--broker`",
    port="the port in `--broker`",
    user=f"the user in `--broker` and the password (${PASSWORD_VARIABLE} or `--password-file`)",
    password_file="`--password-file`",
    tls_on="write `--broker mqtts://…`",
    tls_off="write `--broker mqtt://…`",
    ca_file="`--ca-file`",
    certificate="`--join`",
    version="the broker's version of MQTT",
    client_id="give every recorder its own `--name`",
)


@dataclass(frozen=True)
class BrokerAddress:
    """A broker and all that a connection to it needs."""

    host: str
    port: int = DEFAULT_PORT
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    """Read anew for every connection; takes precedence over `password`."""
    tls: bool = False
    ca_file: str = ""
    """Certificate of the authority that signed the broker's; empty: the authorities that the system trusts."""
    cert_file: str = ""
    """Our own certificate; empty: none."""
    key_file: str = ""
    keepalive_s: int = 30
    version: Literal["auto", "5", "3.1.1"] = "auto"
    names: Names = field(default=OPTION_NAMES, repr=False)
    certificate_name: str = ""
    """The name that our certificate has to have; empty: any."""
    check_name: bool = True
    """Whether the broker's certificate has to name `host`; without it the caller compares the certificate itself."""
    others: tuple[BrokerAddress, ...] = ()
    """Further nodes of the same cluster, in the order in which they are tried."""

    @property
    def nodes(self) -> tuple[BrokerAddress, ...]:
        """All nodes of the cluster, each as an address of its own; one for a single broker."""
        return (replace(self, others=()), *self.others)

    @property
    def place(self) -> str:
        """The broker as `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.place}"


def device_client_id(node: str) -> str:
    """Return the client id of a device: a second device with the same node id closes the first one's connection."""
    return f"roomtone-{node}"


def from_config(config: Config) -> BrokerAddress:
    """Return the broker of a device's configuration. Raises `UserError` for a host that is none."""
    mqtt = config.mqtt
    hosts = []
    for key, text in (("host", mqtt.host), *(("more_hosts", one) for one in mqtt.more_hosts)):
        try:
            hosts.append(normalized(text))
        except ValueError as error:
            raise UserError(f"`mqtt.{key}` {text!r} {error}; the port is `mqtt.port`") from None
    first = BrokerAddress(
        host=hosts[0],
        port=mqtt.port or (TLS_PORT if mqtt.tls else DEFAULT_PORT),
        username=mqtt.username,
        password_file=mqtt.password_file,
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
        keepalive_s=mqtt.keepalive_s,
        version=mqtt.version,
        names=CONFIG_NAMES,
        certificate_name=config.node.id,
    )
    return replace(first, others=tuple(replace(first, host=host) for host in hosts[1:]))


def from_join(folder: Path) -> tuple[BrokerAddress, str]:
    """Return the broker and the base topic of a site that was joined. Raises `UserError`."""
    if not folder.is_dir():
        raise UserError(f"--join {folder}: not a folder; make it with `roomtone join FILE --to {folder}`")
    joined = join_file.read(folder / join_file.ABOUT)
    ca, certificate, key = (
        str(folder / name) for name in (join_file.CA, join_file.CERTIFICATE, join_file.KEY)
    )
    return BrokerAddress(
        joined.host, joined.port, tls=True, ca_file=ca, cert_file=certificate, key_file=key
    ), joined.base_topic


def parse_all(
    texts: Sequence[str],
    password_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    ca_file: Path | None = None,
) -> BrokerAddress:
    """Return the broker cluster whose nodes have these URLs (`parse`), tried in this order. Raises `UserError`."""
    first, *others = (parse(text, password_file, environment, ca_file) for text in texts)
    for one in others:
        if (one.tls, one.username) != (first.tls, first.username):
            raise UserError(
                f"--broker {one}: the nodes of one cluster have the same user, and TLS all of them or none"
            )
    return replace(first, others=tuple(others))


def parse(
    text: str,
    password_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    ca_file: Path | None = None,
) -> BrokerAddress:
    """Return the broker of a URL `mqtt[s]://[user@]host[:port]`. Raises `UserError`.

    The user is all that stands before the last `@`; characters other than `:` may stand for themselves there, or be
    written as `%40`. A password never stands in the address: every user of the machine sees a process's arguments.
    """
    scheme, separator, rest = text.partition("://")
    tls = SCHEMES.get(scheme.lower())
    if not separator or tls is None:
        raise _refused(text, f"not a broker's address; write mqtt://host or mqtts://user@host:{TLS_PORT}")
    user, _, place = rest.rpartition("@")
    if ":" in user:
        raise UserError(
            f"--broker: no password in the address; put it into ${PASSWORD_VARIABLE} or use --password-file FILE "
            "(a `:` in the user's name is written %3A)"
        )
    host, port = _host_and_port(text, place.removesuffix("/"))
    if ca_file is not None and not tls:
        raise UserError("--ca-file is for TLS: write --broker mqtts://host")
    return BrokerAddress(
        host=host,
        port=(TLS_PORT if tls else DEFAULT_PORT) if port is None else port,
        username=unquote(user),
        password=environment.get(PASSWORD_VARIABLE, "") if password_file is None else "",
        password_file="" if password_file is None else str(password_file),
        tls=tls,
        ca_file="" if ca_file is None else str(ca_file),
    )


def _host_and_port(text: str, place: str) -> tuple[str, int | None]:
    if place.startswith("["):
        inner, bracket, port = place[1:].partition("]")
        host, colon = f"[{inner}]", port == ":"
        if not bracket or (port and not port.startswith(":")):
            raise _refused(text, "write an IPv6 address as mqtt://[::1]:1883")
        port = port[1:]
    else:
        host, sign, port = place.rpartition(":") if ":" in place else (place, "", "")
        colon = sign == ":" and not port
        if ":" in host:
            raise _refused(text, f"an IPv6 address is written in brackets: mqtt://[{place}]")
    if any(sign in place for sign in "/?#"):
        raise _refused(text, "nothing comes after the port: write mqtt://host:1883; topics have --base-topic")
    try:
        checked = normalized(host)
    except ValueError as error:
        raise _refused(text, f"the host {host!r} {error}; write mqtt://host:{DEFAULT_PORT}") from None
    if not port and not colon:
        return checked, None
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise _refused(text, f"the port is a number from 1 to 65535; write mqtt://host:{DEFAULT_PORT}")
    return checked, int(port)


def _refused(text: str, why: str) -> UserError:
    return UserError(f"--broker {text}: {why}")
