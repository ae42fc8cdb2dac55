"""The tables. Times are milliseconds since 1970 (UTC); shares and confidences are per mille, so that a row is small."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

from edge.protocol.messages import LABELS, UNCERTAIN

EMOTIONS: Final = (*LABELS, UNCERTAIN)
"""An emotion is stored as its place here; the order of the contract never changes."""

QUARTER_MS: Final = 900_000
"""All time zones are whole quarters of an hour from UTC, so the hours and days of any reader can be summed up."""

metadata = MetaData()

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
"""Sums for each quarter of an hour: charts of a month read these, and they outlive the single events."""

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
"""How far the events of one start of an ear are known without a gap, and when its room was asked to repeat some."""

lost = Table(
    "lost",
    metadata,
    Column("room_id", ForeignKey("rooms.id"), primary_key=True),
    Column("boot", String(8), primary_key=True),
    Column("from_seq", BigInteger, primary_key=True),
    Column("to_seq", BigInteger, nullable=False),
    Column("found", BigInteger, nullable=False),
)
"""Gaps that nobody could close: said, not hidden."""

# --- what the dashboard writes: accounts, what was done, rules and what they said, reachability ---

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", LargeBinary(32), primary_key=True),
    Column("user", ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("label", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)
"""Of a token only its SHA-256 is kept. A label marks the token of a program, which nobody's password change ends."""

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(100), nullable=False),
    Column("result", String(200), nullable=False),
    Index("audit_by_time", "at"),
)

rules = Table(
    "rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("node", String(64), nullable=False),
    Column("emotion", SmallInteger, nullable=False),
    Column("share", SmallInteger, nullable=False),
    Column("minutes", SmallInteger, nullable=False),
    Column("least", SmallInteger, nullable=False),
    Column("webhook", String(500), nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""`angry for 10 minutes above 60 %`, in one room or (empty `node`) in each; `least` utterances must have been heard."""

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule_id", ForeignKey("rules.id", ondelete="CASCADE"), nullable=False),
    Column("room_id", ForeignKey("rooms.id", ondelete="CASCADE"), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=True),
    Column("share", SmallInteger, nullable=False),
    Index("alerts_by_time", "since"),
)

minutes = Table(
    "minutes",
    metadata,
    Column("minute", BigInteger, primary_key=True),
    Column("page", SmallInteger, nullable=False),
    Column("event", SmallInteger, nullable=False),
)
"""Reachability: whether a probe got the page and an event in that minute (requirement O.3)."""
