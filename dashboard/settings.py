"""What a dashboard is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.mqtt.address import BrokerAddress


@dataclass(frozen=True)
class Settings:
    """All of it, checked."""

    broker: BrokerAddress
    base_topic: str = "roomtone"
    database: str | None = None
    """What the recorder writes; None: no page looks back."""
    bundle: str | None = "base"
    """The model of the try-it page; None: there is no such page."""
    login: bool = False
    """Whether people have to log in; without it the pages answer to this machine only."""
    own_address: str = "http://127.0.0.1:8080/"
    """Where the pages are at this machine, for the probe."""
    proxies: tuple[str, ...] = ()
    """Addresses of proxies whose word is taken for where a request comes from."""
    updates: Path | None = None
    """The repository of models that this hub serves; None: it serves none."""
