"""Join files: everything that a client of a site needs, in one JSON file of `roomtone fleet enrol`.

With the private key the file is a secret (mode 0600; unpack and delete it). Without it the key is at the client
already, and the file is not secret. docs/fleet.md describes the format.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.config.settings import BaseTopic, BrokerHost, Config, HttpsUrl, Port
from edge.protocol.types import Timestamp
from edge.util.atomic_file import write
from edge.util.errors import UserError, reason
from edge.util.text.patterns import in_words, pattern

MAX_BYTES: Final = 65_536
CA, CERTIFICATE, KEY, ABOUT = "ca.crt", "client.crt", "client.key", "join.json"
"""Names of the unpacked files; `ABOUT` is the join file without the key."""
MODELS_ROOT, MODELS_CA = "models-root.json", "models-ca.crt"
"""Names of the unpacked files for releases: signing keys, and certificate authority of the hub."""

Role = Literal["device", "subscriber", "recorder", "operator"]
Pem = Annotated[str, Meta(max_length=16_384)]


class Models(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Address and signing keys of the model releases (docs/updates.md)."""

    url: HttpsUrl
    root: Annotated[str, pattern(r"^\s*\{", "the text of a root.json", max_length=32_768)]
    """The site's `root.json` as text, with the keys that a device trusts."""
    ca: Pem = ""
    """Certificate authority of the hub (PEM); empty: that of the broker."""


class Join(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Identity of a client and address of its broker."""

    roomtone_join: Literal[1] = 1
    site: Annotated[str, Meta(max_length=64)]
    name: Annotated[
        str, pattern(r"^([a-z]+\.)?[a-z0-9_-]{1,64}\Z", "a node id, or role and name such as operator.me")
    ]
    """Name in the certificate: the node id of a device, `role.name` of other clients."""
    role: Role
    host: BrokerHost
    port: Port = 8883
    base_topic: BaseTopic = "roomtone"
    homeassistant_prefix: BaseTopic = "homeassistant"
    expires: Timestamp
    """When the certificate expires (UTC)."""
    ca: Pem
    """Certificate of the site's authority, PEM."""
    certificate: Pem
    """This client's certificate, PEM."""
    key: Pem = ""
    """Private key of the client (PKCS #8, PEM); empty where it never left the client."""
    models: Models | UnsetType = UNSET
    """Only for a device of a site with signing keys."""
    signature: Annotated[str, Meta(max_length=256)] = ""
    """ECDSA of the site's authority over everything but the key (`signed_bytes`), Base64."""


def read(path: Path) -> Join:
    """Read and validate a join file. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            # Not by its size, which a device does not have: on a stick the file may be a link to one.
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UserError(f"{path}: too large for a join file; create one with `roomtone fleet enrol`")
        found = msgspec.json.decode(data, type=Join)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not a join file of `roomtone fleet enrol` ({in_words(error)})") from None
    parts = [("ca", found.ca), ("certificate", found.certificate)]
    parts += [("key", found.key)] if found.key else []
    parts += [("models.ca", found.models.ca)] if found.models is not UNSET and found.models.ca else []
    for field, text in parts:
        kind = "PRIVATE KEY" if field == "key" else "CERTIFICATE"
        if not re.search(rf"-----BEGIN {kind}-----\n.+\n-----END {kind}-----", text, re.DOTALL):
            raise UserError(
                f"{path}: `{field}` is not in PEM form; create the file again with `roomtone fleet enrol`"
            )
    return found


def signed_bytes(join: Join) -> bytes:
    """Return what the site signs: all fields but the private key, which its certificate stands for."""
    return msgspec.json.encode(msgspec.structs.replace(join, key="", signature=""))


def unpack(join: Join, folder: Path, key: Path | None = None) -> dict[str, Any]:
    """Write the certificate files into `folder` (0700, the key 0600); returns the settings that use them.

    `key`: file of a private key that never left this machine and is not in the folder yet. Each file is replaced
    atomically, the key first, so that there is never a certificate without its key. Raises `UserError`.
    """
    settings = _settings(join, folder)
    try:
        secret = join.key or ("" if key is None else key.read_text(encoding="ascii"))
        if not secret and not (folder / KEY).is_file():
            raise UserError(
                f"{folder / KEY} is missing, and there is no key in the join file: name its file with --key"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if secret:
            write(folder / KEY, secret, 0o600)
        write(folder / CA, join.ca, 0o644)
        write(folder / CERTIFICATE, join.certificate, 0o644)
        if join.models is not UNSET:
            write(folder / MODELS_ROOT, join.models.root, 0o644)
            if join.models.ca:
                write(folder / MODELS_CA, join.models.ca, 0o644)
        write(folder / ABOUT, msgspec.json.encode(msgspec.structs.replace(join, key="")), 0o644)
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "not text"
        where = getattr(error, "filename", None) or key or folder
        raise UserError(f"{where}: {why}") from None
    return settings


def _settings(join: Join, folder: Path) -> dict[str, Any]:
    """The settings as dotted keys, without those that are the default."""
    own: dict[str, Any] = {"mqtt.host": join.host, "mqtt.tls": True, "mqtt.port": join.port}
    own |= {"mqtt.ca_file": str(folder / CA), "mqtt.cert_file": str(folder / CERTIFICATE)}
    own |= {"mqtt.key_file": str(folder / KEY)}
    if join.role == "device":
        own["node.id"] = join.name
        # `roomtone fleet` announces the devices of a site: they have no right to.
        own["homeassistant.discovery"] = False
    if join.base_topic != Config().node.base_topic:
        own["node.base_topic"] = join.base_topic
    if join.homeassistant_prefix != Config().homeassistant.prefix:
        own["homeassistant.prefix"] = join.homeassistant_prefix
    if join.models is not UNSET:
        own |= {"updates.url": join.models.url, "updates.root_file": str(folder / MODELS_ROOT)}
        if join.models.ca:
            own["updates.ca_file"] = str(folder / MODELS_CA)
    return own
