"""What a site's folder records: the decisions made at its start (site.json), every certificate (issued.json)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.config.join_file import Role
from edge.config.settings import BaseTopic, Port
from edge.util.text.patterns import pattern


class Deployment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where `fleet deploy` puts the broker's files, and how the broker comes to read them."""

    folder: str
    data: str
    owner: str
    restart: str
    """Command that restarts the broker; empty: it restarts by itself when the folder's `generation` changes."""
    address: str = "127.0.0.1"
    """Where this machine reaches the broker, to see what is in force."""


class Probe(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the broker shows only when it has loaded this version of its files."""

    serial: str
    """Of a certificate that is issued and revoked in the same list (hexadecimal)."""
    generation: str
    """Names this version of the rights."""


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was decided when the site was made."""

    v: Literal[1] = 1
    name: Annotated[
        str, pattern(r"^[A-Za-z0-9 ._-]{1,48}\Z", "1 to 48 of A-Z, a-z, 0-9, space, `.`, `_` and `-`")
    ]
    hosts: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names and addresses of the broker; clients use the first."""
    port: Port = 8883
    base_topic: BaseTopic = "roomtone"
    homeassistant_prefix: BaseTopic = "homeassistant"
    deployed: Deployment | None = None
    """Where the broker's files are on this machine."""
    probe: Probe = Probe(serial="0", generation="")
    pending: bool = False
    """Whether the broker has not been seen to have everything yet: the next command gives it again, and looks."""


class IssuedCertificate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One certificate."""

    serial: str
    """Hexadecimal: JSON's numbers are too small."""
    name: str
    role: Role | Literal["broker"]
    issued: datetime
    expires: datetime
    revoked: datetime | None = None
    certificate: str
    """PEM: renewing takes the public key from here."""

    @property
    def number(self) -> int:
        """The serial number."""
        return int(self.serial, 16)
