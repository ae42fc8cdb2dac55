"""Protects sound in memory: no core dumps, and no debugger of another process."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from typing import Final

log = logging.getLogger(__name__)

PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def disable_core_dumps() -> None:
    """Forbid core dumps and tracing for the rest of the process, also after the watchdog's SIGABRT."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A limit of 0 does not keep a core from a collector behind a pipe (`core_pattern`); this does.
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("[dumpable] this process stays dumpable: %s", os.strerror(ctypes.get_errno()))
