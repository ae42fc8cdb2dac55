"""Logging of the link and the hub: to the journal with priorities and fields where systemd runs them, else as text.

With `systemd-python` installed, records are sent to the journal with the logger, the source line and the `extra` values
of the record as fields. Without it, each line on standard error has a priority prefix (`sd-daemon(3)`), so that
`journalctl -p warning` works all the same. The ear never uses this module: it has no access to the journal's socket.

    configure("link", "info")
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from edge.util.text.log_lines import LineFormatter

PRIORITIES: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
"""Levels of `logging` and the priorities of syslog(3) from which they apply, the highest first."""


def configure(name: str, level: str) -> None:
    """Set up the root logger; `name` is the process, `level` one of debug, info, warning and error."""
    prefix = f"%(levelname)s {name}: "
    handler: logging.Handler | None = None
    if stderr_is_journal():
        handler = _journal_handler(f"roomtone-{name}")
        if handler is None:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(PriorityFormatter(prefix))
        else:
            handler.setFormatter(LineFormatter())
    if handler is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter(prefix))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class PriorityFormatter(LineFormatter):
    """Prefixes every line of a record with its priority, such as `<4>` for a warning."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as text, each line with its priority."""
        prefix = f"<{priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def priority(level: int) -> int:
    """Return the priority of syslog(3) for a level of `logging`: 3 for errors to 7 for debug messages."""
    return next((found for lowest, found in PRIORITIES if level >= lowest), 7)


def stderr_is_journal() -> bool:
    """Whether standard error is connected to the journal: systemd sets its device and inode in `JOURNAL_STREAM`."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(2)
        return (int(device), int(inode)) == (status.st_dev, status.st_ino)
    except (OSError, ValueError):
        return False


def _journal_handler(identifier: str) -> logging.Handler | None:
    """The handler of `systemd-python`; None where it is not installed."""
    try:
        from systemd.journal import JournalHandler
    except ImportError:
        return None
    handler: logging.Handler = JournalHandler(SYSLOG_IDENTIFIER=identifier)
    return handler
