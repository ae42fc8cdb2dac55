"""What a site's folder records: the decisions made at its start (site.json), every certificate (issued.json)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.config.join_file import Role
from edge.config.settings import BaseTopic, Port

Pending = Literal["", "reload", "restart"]
"""What the broker needs before all changes take effect; a restart includes a reload."""


class Deployment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where `fleet deploy` puts the broker's files, and the commands that reload and restart the broker."""

    folder: str
    data: str
    owner: str
    reload: str
    restart: str


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was decided when the site was made."""

    v: Literal[1] = 1
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ._-]{1,48}\Z")]
    hosts: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names and addresses of the broker; clients use the first."""
    port: Port = 8883
    base_topic: BaseTopic = "roomtone"
    homeassistant_prefix: BaseTopic = "homeassistant"
    deployed: Deployment | None = None
    """Where the broker's files are on this machine."""
    pending: Pending = ""
    """A change that the broker has not been given yet: the next command does it."""


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
