"""Where the link keeps what has to outlive it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from edge.config.settings import Config
from edge.util.errors import reason
from edge.util.service import runtime_dir as of_the_service

log = logging.getLogger(__name__)


def runtime_dir(config: Config) -> Path:
    """Return the folder of what outlives the link's process but not the machine; it is not created.

    systemd's `RUNTIME_DIRECTORY`, which is in memory; without it the folder of the socket, wherever that is.
    """
    return of_the_service.runtime_dir() or Path(config.runtime.socket).parent


def state_dir(config: Config) -> Path:
    """Return the folder in which events wait on disk."""
    # systemd passes a list, separated by colons, when the unit has several.
    given = config.runtime.state_dir or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else Path(config.runtime.socket).parent


def made_state_dir(config: Config) -> Path:
    """Return the same folder, created (0700) if it is missing; a failure is logged with its remedy."""
    place = state_dir(config)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        log.warning(
            "[state_dir_missing] %s cannot be made (%s): in an outage of the broker events wait in memory only, "
            "and after a renaming old retained messages will stay; make it for this user, or set `runtime.state_dir`",
            place,
            reason(error),
        )
    return place


def device_file(config: Config, suffix: str) -> Path:
    """Return a file in that folder which is found again when the device has another name: its socket stays."""
    return state_dir(config) / f"{Path(config.runtime.socket).stem}.{suffix}"
