"""Keeps the messages of native libraries out of the log.

PortAudio, ALSA and JACK write dozens of lines to file descriptor 2 whenever they look for devices, and nothing turns
that off. So Python keeps a copy of the descriptor for itself, and 2 is redirected to /dev/null.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


def silence_native_stderr() -> TextIO:
    """Discard what native libraries write, for the rest of the process; returns the new, working `sys.stderr`."""
    python = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    _to_null()
    sys.stderr = python
    return python


@contextlib.contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Discard what native libraries write within this block. For single-threaded programs only."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        _to_null()
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _to_null() -> None:
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 2)
    os.close(null)
