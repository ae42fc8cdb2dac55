"""Results of the reachability probe."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, SmallInteger, Table

from dashboard.db.tables.base import metadata

minutes = Table(
    "minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True),
    Column("page", SmallInteger, nullable=False),
    Column("event", SmallInteger, nullable=False),
)
"""One row for each minute since 1970: whether the probe reached the page, and its own message through the broker."""
