"""Points in time as text: RFC 3339, UTC, milliseconds, such as `2026-01-31T10:00:00.000Z`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

_LEAP_SECOND: Final = re.compile(r"([T ]\d\d:\d\d:)60", re.ASCII)


def rfc3339(moment: datetime) -> str:
    """Format a time with a zone as every message of the protocol has it: UTC, RFC 3339, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_unix(seconds: float) -> str:
    """Format seconds since 1970 as `2026-01-31T10:00:00.000Z`.

    Raises `ValueError`, `OverflowError` or `OSError` outside of the years 1 to 9999.
    """
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def now() -> str:
    """Return the present time of the system's clock as `2026-01-31T10:00:00.000Z` (UTC)."""
    return from_unix(time.time())


def parse(text: str) -> datetime:
    """Read a time of ISO 8601 or RFC 3339 (`2026-01-31t10:00:00z`, too), with a zone or in UTC.

    A leap second counts as the one before it. Raises `ValueError`: no such date, or not a time.
    """
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(r"\g<1>59", text.upper()))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
