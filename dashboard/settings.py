"""What a dashboard is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dashboard.address import BrokerAddress


@dataclass(frozen=True)
class Settings:
    """All of it, checked."""

    broker: BrokerAddress
    base_topic: str = "roomtone"
    database: str | None = None
    """What the recorder writes; None: no page looks back."""
    bundle: str | None = "base"
    """The model of the try-it page; None: there is no such page."""
    storage_secret: str | None = field(default=None, repr=False)
    """Signs the cookies of sessions; None: there are none."""
    updates: Path | None = None
    """The repository of models that this hub serves; None: it serves none."""
