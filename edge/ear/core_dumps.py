"""Sound is in memory for a few seconds: no core file, no debugger of another process may take it from there."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from typing import Final

log = logging.getLogger(__name__)

PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def forbid_dumps() -> None:
    """For the rest of the process; the watchdog's SIGABRT then leaves nothing behind, whatever collects cores."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A limit of 0 does not keep a core from a collector behind a pipe (`core_pattern`); this does.
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("this process stays dumpable: %s", os.strerror(ctypes.get_errno()))
