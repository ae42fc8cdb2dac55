"""Points in time as text: RFC 3339, UTC, milliseconds, such as `2026-01-31T10:00:00.000Z`."""

from __future__ import annotations

import time
from datetime import UTC, datetime


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
    """Read a time of ISO 8601, with a zone or in UTC. Raises `ValueError`: no such date, or not a time."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
