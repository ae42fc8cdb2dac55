"""The ear's state folder: whatever has to outlive it. What is there is numbers; sound is never written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from edge.config.settings import Config

INSTALLED: Final = Path("/var/lib/roomtone/ear")


def folder(config: Config) -> Path:
    """Where the ear keeps its state; the same for the ear itself and for commands of a person at the device."""
    given = config.runtime.ear_state_dir or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    return INSTALLED if INSTALLED.is_dir() else Path(config.runtime.socket).parent
