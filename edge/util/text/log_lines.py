"""Log records as lines of bounded length in which names from elsewhere cannot send control sequences."""

from __future__ import annotations

import logging
from typing import Final

from edge.util.text.terminal import printable

MAX_CHARACTERS: Final = 1000
"""Longest message; topics, file names and answers of other programs may have thousands of characters."""


def bounded(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return a text in one line without control characters, its middle left out where it is too long."""
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}…({len(text) - 2 * half} characters)…{text[-half:]}"
    return printable(text)


class LineFormatter(logging.Formatter):
    """Writes the message of a record as one line, and each line of a traceback likewise.

    Args:
        prefix: format of what precedes the message, such as `"%(levelname)s link: "`.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__(f"{prefix}%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (name of the base class)
        """The first line of the record."""
        record.message = bounded(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 (name of the base class)
        """The lines of the traceback."""
        return "\n".join(bounded(line) for line in super().formatException(ei).splitlines())
