"""The broker of a device, from an address with user and password or from a site's join file; systemd drop-ins."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from edge.config.join_file import read, unpack
from edge.config.load import load
from edge.config.settings import Config
from edge.config.template import render
from edge.releases import join_trust
from edge.releases.join_trust import Consent
from edge.util.errors import UserError
from edge.util.text.text_file import read_toml

SEEN_AS: Final = Path("/run/credentials/roomtone-link.service")
"""Where the link finds its credentials (systemd's `LoadCredential=site:...`)."""
CREDENTIALS: Final = Path("/etc/roomtone/credentials")
RESOLVERS: Final = Path("/etc/resolv.conf")
ALLOWED_RESOLVERS: Final = ("127.0.0.53", "127.0.0.54")
"""Those of systemd-resolved, in the units as they are."""
PASSWORD: Final = "password"
CA: Final = "broker-ca.crt"

Values = dict[str, dict[str, Any]]


def from_address(address: str, ca: bool) -> dict[str, Any]:
    """Return the settings (dotted keys) for `mqtts://[USER@]HOST[:PORT]`, or `mqtt://` (without TLS).

    Writes nothing: with a user the settings name a password file, with `ca` a CA file, under `SEEN_AS`; the
    caller provides both. Raises `UserError`, also for a password in the address.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    beyond = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or beyond or port == 0:
        raise UserError(f"--broker {address!r}: write mqtts://USER@HOST or mqtts://USER@HOST:PORT")
    if parts.password is not None:
        raise UserError(
            "--broker: a password in the command line can be read by every user of this machine; leave it out, "
            "it is asked for, or name a file with --password-file"
        )
    found: dict[str, Any] = {"mqtt.host": parts.hostname, "mqtt.tls": parts.scheme == "mqtts"}
    if port is not None:
        found["mqtt.port"] = port
    if parts.username:
        found["mqtt.username"] = unquote(parts.username)
        found["mqtt.password_file"] = str(SEEN_AS / f"site_{PASSWORD}")
    if ca:
        found["mqtt.ca_file"] = str(SEEN_AS / f"site_{CA}")
    return found


def from_addresses(addresses: Sequence[str], ca: bool) -> dict[str, Any]:
    """Return the settings for the nodes of one broker cluster, the one that is tried first in front.

    Otherwise as `from_address`. Raises `UserError`.
    """
    first, *others = (from_address(address, ca) for address in addresses)
    for address, other in zip(addresses[1:], others, strict=True):
        if other | {"mqtt.host": ""} != first | {"mqtt.host": ""}:
            raise UserError(
                f"--broker {address!r}: the nodes of one cluster have the same user and port, and TLS all of them or "
                "none"
            )
    more = [other["mqtt.host"] for other in others]
    return first | ({"mqtt.more_hosts": more} if more else {})


def from_join(
    file: Path, credentials: Path, consent: Consent, key: Path | None = None
) -> tuple[dict[str, Any], str]:
    """Write certificate and key of a join file to `credentials`; return its settings, and what to show to the user.

    `key`: file of the private key, where the join file has none and it is not in `credentials` yet. Raises `UserError`.
    """
    join = read(file)
    if join.key and key is not None:
        raise UserError(f"{file} contains a key: omit --key")
    note = join_trust.check(join, credentials, consent)
    found = unpack(join, credentials, key)
    return {
        key: str(SEEN_AS / f"site_{Path(value).name}") if key.endswith("_file") else value
        for key, value in found.items()
    }, note


def default_node(hostname: str) -> str:
    """Return a node id made from the host name."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", hostname.split(".", maxsplit=1)[0].lower()).strip("-")[:64]
    return plain or "room-1"


def merged(path: Path, settings: dict[str, Any], *, anew: bool) -> str:
    """Return the configuration file with these settings added; `anew`: drop what it says about another broker.

    Raises `ConfigError`.
    """
    values: Values = {}
    if path.exists():
        load(path)
        values = read_toml(path)
    if anew:
        # The certificate for one broker has no meaning for the next.
        kept = {"keepalive_s", "version"}
        values["mqtt"] = {key: value for key, value in values.get("mqtt", {}).items() if key in kept}
    for dotted, value in settings.items():
        section, _, key = dotted.partition(".")
        values.setdefault(section, {})[key] = value
    return render(values)


def dropins(config: Config) -> dict[str, str]:
    """Return the drop-in for each unit that this configuration needs, by unit name; an empty text: none.

    Without one the link cannot reach this computer itself, and the ear no GPIO pins.
    """
    head = "# Written by install.sh from /etc/roomtone/roomtone.toml; run it again after a change there.\n[Service]\n"
    resolvers = "".join(f"IPAddressAllow={address}\n" for address in loopback_resolvers())
    link = resolvers
    if any(_is_this_machine(host) for host in (config.mqtt.host, *config.mqtt.more_hosts)):
        link += "IPAddressAllow=localhost\n"
    if config.runtime.metrics_port is not None:
        link += "" if "localhost" in link else "IPAddressAllow=localhost\n"
        link += f"SocketBindAllow=ipv4:tcp:{config.runtime.metrics_port}\n"
    update = "".join(
        f"LoadCredential={name}:{CREDENTIALS / name[5:]}\n" for name in _update_credentials(config)
    )
    update += resolvers if config.updates.url else ""
    if config.updates.url and _is_this_machine(urlsplit(config.updates.url).hostname or ""):
        update += "IPAddressAllow=localhost\n"
    ear = ""
    if config.button.pin is not None or config.button.led is not None:
        ear = "DeviceAllow=char-gpiochip rw\nSupplementaryGroups=gpio\n"
    if config.audio.source == "playback":
        folder = config.audio.playback_dir
        ear += f"BindReadOnlyPaths={folder}\n" if folder.startswith("/home/") else ""
    texts = {"roomtone-link": link, "roomtone-ear": ear, "roomtone-update@": update}
    return {unit: head + text if text else "" for unit, text in texts.items()}


def loopback_resolvers(path: Path = RESOLVERS) -> list[str]:
    """Name servers on this computer, such as dnsmasq on 127.0.0.1, beside those that the units allow already."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for words in (line.split() for line in lines):
        if len(words) < 2 or words[0] != "nameserver":
            continue
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(words[1].partition("%")[0])
            if address.is_loopback and str(address) not in ALLOWED_RESOLVERS:
                found.append(str(address))
    return list(dict.fromkeys(found))


def _update_credentials(config: Config) -> list[str]:
    """Names of the link's credentials that the update service needs: public files, never a key or a password."""
    files = (config.updates.root_file, config.updates.ca_file or config.mqtt.ca_file)
    return sorted({Path(file).name for file in files if config.updates.url and Path(file).parent == SEEN_AS})


def _is_this_machine(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # It cannot be resolved just now: then it is elsewhere, or one of the names that need no resolver.
        return host.rstrip(".").lower() in {"localhost", "localhost.localdomain", "ip6-localhost"}
    # Debian gives its own name an address of this machine's own, 127.0.1.1 (/etc/hosts).
    return any(ipaddress.ip_address(str(address[0]).split("%")[0]).is_loopback for *_, address in found)
