"""The runtime directory of a service: in memory, and gone when the service has ended."""

from __future__ import annotations

import os
from pathlib import Path


def runtime_dir() -> Path | None:
    """Return the first folder of systemd's `RUNTIME_DIRECTORY`; None without it."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else None
