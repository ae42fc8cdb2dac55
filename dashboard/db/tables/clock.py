"""The guarded time of the hub."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, SmallInteger, Table

from dashboard.db.tables.base import metadata

clock = Table(
    "clock",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("guarded", BigInteger, nullable=False),
)
"""One row, 1: a time that is surely past, from which the next start goes on (`dashboard.db.clock`)."""
