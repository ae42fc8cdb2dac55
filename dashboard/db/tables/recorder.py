"""What the recorder writes: rooms, events, their sums, and gaps in the sequence numbers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from dashboard.db.tables.base import metadata
from edge.protocol import LABELS

rooms = Table(
    "rooms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("node", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False, default=""),
    Column("first_seen", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("boot", String(8), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("emotion", SmallInteger, nullable=False),
    Column("confidence", SmallInteger, nullable=False),
    Column("arousal", SmallInteger, nullable=True),
    *(Column(f"p_{label}", SmallInteger, nullable=False) for label in LABELS),
    Column("duration_ms", Integer, nullable=False),
    Column("snr_db", Float, nullable=False),
    Column("level_dbfs", Float, nullable=False),
    Column("model", String(64), nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Index("events_by_time", "room_id", "at"),
    Index("events_by_seq", "room_id", "boot", "seq"),
)

quarters = Table(
    "quarters",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("quarter", BigInteger, primary_key=True),
    Column("emotion", SmallInteger, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("confidence", BigInteger, nullable=False),
)
"""Sums for each quarter of an hour. Charts of a month read these; they are kept when single events expire."""

boots = Table(
    "boots",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("boot", String(8), primary_key=True),
    Column("complete_to", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False, default=0),
    Column("asks", Integer, nullable=False, default=0),
)
"""For each start of a device: the sequence number up to which all events are known, and the last replay request."""

lost = Table(
    "lost",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("boot", String(8), primary_key=True),
    Column("from_seq", BigInteger, primary_key=True),
    Column("to_seq", BigInteger, nullable=False),
    Column("found", BigInteger, nullable=False),
)
"""Gaps in the sequence numbers that no replay could fill."""
