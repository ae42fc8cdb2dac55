"""Alert rules and the alerts that they raised."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, SmallInteger, String, Table

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
)
"""A rule such as "angry for 10 minutes above 60 %", for one room or (empty `node`) for each room.

`least` is the smallest number of utterances in that time for which the rule is evaluated.
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
