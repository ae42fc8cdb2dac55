"""Alert rules, the alerts that they raised, and how these were delivered."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from dashboard.db.tables.base import metadata

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
    Column("kind", String(8), nullable=False, server_default="emotion"),
    Column("level", SmallInteger, nullable=False, server_default="0"),
    Column("paused", SmallInteger, nullable=False, server_default="0"),
    Column("email", String(200), nullable=False, server_default=""),
    Column("push", SmallInteger, nullable=False, server_default="0"),
)
"""A rule such as "angry for 10 minutes above 60 %", for one room or (empty `node`) for each room.

`kind`: `emotion` (a share of the utterances), `loud` (their mean level above `level` dBFS) or `episode` (the device
reports an episode of agitation for so many minutes). `least` is the smallest number of utterances in that time for
which the rule is evaluated.
"""

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
"""`share` is what was measured at the begin: per mille, dBFS, or minutes, by the kind of the rule."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule_id", ForeignKey("rules.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("channel", String(8), nullable=False),
    Column("error", String(200), nullable=False),
    Index("deliveries_by_rule", "rule_id", "at"),
)
"""What was sent for a rule: `mqtt`, `webhook`, `email` or `push`, and why it failed (empty: it did not)."""

push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("endpoint", String(500), primary_key=True),
    Column("user", String(64), nullable=False),
    Column("p256dh", String(100), nullable=False),
    Column("auth", String(40), nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""Browsers that are notified (RFC 8030), with the keys of their messages (RFC 8291)."""

push_key = Table(
    "push_key",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("private", LargeBinary(32), nullable=False),
)
"""One row, 1: the private key by which push services know this hub (RFC 8292)."""
