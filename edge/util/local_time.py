"""Local time that follows /etc/localtime: the C library reads that file only once in the life of a process."""

from __future__ import annotations

import contextlib
import os
import struct
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

LOCALTIME: Final = Path("/etc/localtime")


class LocalClock:
    """Tells local time; reads the time zone again when its file was replaced (`timedatectl set-timezone`).

    Where `TZ` is set, that holds for the whole process, as everywhere. Not thread-safe.
    """

    def __init__(self, file: Path = LOCALTIME) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._zone: tzinfo | None = None

    def now(self) -> datetime:
        """The present local time, with its zone; by the C library where there is no readable time zone file."""
        if os.environ.get("TZ"):
            return datetime.now().astimezone()
        self._refresh()
        return datetime.now(self._zone) if self._zone is not None else datetime.now().astimezone()

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
        except OSError:
            return  # being replaced just now, or never there
        seen = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if seen == self._seen:
            return
        self._seen = seen
        with contextlib.suppress(OSError, ValueError, struct.error), self._file.open("rb") as file:
            self._zone = ZoneInfo.from_file(file)
