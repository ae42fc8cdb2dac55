"""The ear's state folder: mute requests, the baseline and start counts; sound is never written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from edge.config.settings import Config
from edge.util.service.runtime_dir import runtime_dir

INSTALLED: Final = Path("/run/roomtone/ear/state")
"""In memory, with a size; `edge.ear.saved_state` copies what is kept to `SAVED`."""
SAVED: Final = Path("/var/lib/roomtone/ear")


def folder(config: Config) -> Path:
    """Return the folder of the ear's state, for the ear and for commands at the device."""
    given = config.runtime.ear_state_dir or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    return INSTALLED if INSTALLED.is_dir() else Path(config.runtime.socket).parent


def counter_path(config: Config) -> Path:
    """Return the file of the utterance counter: in systemd's runtime directory (memory), else beside the socket.

    The link's numbers are kept likewise, so that both end with the machine.
    """
    socket = Path(config.runtime.socket)
    return (runtime_dir() or socket.parent) / f"{socket.stem}.utterances"


def read_regular(path: Path, max_bytes: int) -> bytes | None:
    """Return the content of a regular file of at most `max_bytes`; None for anything else, or nothing.

    For files in folders of the ear's, which an attacker may own: neither a link, a pipe nor a device leads elsewhere
    or holds this process.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        data = os.read(descriptor, max_bytes + 1) if regular else None
    except OSError:
        data = None
    finally:
        os.close(descriptor)
    return None if data is None or len(data) > max_bytes else data
