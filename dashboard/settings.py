"""The settings of a dashboard process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge.mqtt.address import BrokerAddress

MAX_ROOMS: Final = 12_000
"""Live rooms that are kept by default: a broken or hostile publisher must not fill memory with rooms that
do not exist. A room takes 25 kB at most: 300 MB, of the 1 GB that Compose gives the dashboard.
"""


@dataclass(frozen=True)
class Settings:
    """The validated settings of the dashboard."""

    broker: BrokerAddress
    base_topic: str = "roomtone"
    database: str | None = None
    """URL of the recorder's database; None: no history, no accounts."""
    bundle: str | None = "base"
    """The model of the page *Try it*; None: no such page."""
    login: bool = False
    """Whether users have to log in; without a login the pages answer to this machine only."""
    token: str = ""
    """Without a login: the token that requests have to carry."""
    guest_links: bool = False
    """Whether operators can invite guests to *Try it* by a link that works once."""
    enrol: str = ""
    """The command that enrols a device, shown on the page *Add a device*; empty: devices log in with a password."""
    device_broker: str = ""
    """URL by which devices reach the broker; empty: only this machine reaches it."""
    own_address: str = "http://127.0.0.1:8080/"
    """URL of the first page on this machine, for the reachability probe."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` is trusted."""
    updates: Path | None = None
    """Folder of the repository of model releases; None: no repository."""
    broker_denials: Path | None = None
    """File of what the hub's own broker refuses (`provisioning.hub.denials`); None: the broker is another."""
    max_rooms: int = MAX_ROOMS
    """Live rooms that are kept in memory."""
    public_host: str = ""
    """The name with a public certificate, if there is one: browsers are told to use nothing but HTTPS for it."""
