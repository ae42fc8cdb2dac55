"""Keeps the chatter of native libraries out of the log.

PortAudio, ALSA and JACK write dozens of lines to file descriptor 2 whenever they look for devices, and nothing turns
that off. So Python keeps a copy of the descriptor for itself, and 2 leads to nowhere.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


def silence_native_stderr() -> TextIO:
    """For the rest of the process; `sys.stderr` goes on working and is returned."""
    python = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    _to_null()
    sys.stderr = python
    return python


@contextlib.contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """For a moment, in a program of one thread; nothing of Python's own may be written meanwhile."""
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
