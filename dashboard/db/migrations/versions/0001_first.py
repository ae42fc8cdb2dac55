"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LABELS = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def upgrade() -> None:
    """Create the tables of rooms, events, sums and gaps."""
    op.create_table(
        "rooms",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("node", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.LargeBinary(16), primary_key=True),
        sa.Column("room_id", sa.Integer, sa.ForeignKey("rooms.id"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("boot", sa.String(8), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("emotion", sa.SmallInteger, nullable=False),
        sa.Column("confidence", sa.SmallInteger, nullable=False),
        *(sa.Column(f"p_{label}", sa.SmallInteger, nullable=False) for label in LABELS),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("snr_db", sa.Float, nullable=False),
        sa.Column("level_dbfs", sa.Float, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=False),
    )
    op.create_index("events_by_time", "events", ["room_id", "at"])
    op.create_index("events_by_seq", "events", ["room_id", "boot", "seq"])
    op.create_table(
        "quarters",
        sa.Column("room_id", sa.Integer, sa.ForeignKey("rooms.id"), primary_key=True),
        sa.Column("quarter", sa.BigInteger, primary_key=True),
        sa.Column("emotion", sa.SmallInteger, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("confidence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "boots",
        sa.Column("room_id", sa.Integer, sa.ForeignKey("rooms.id"), primary_key=True),
        sa.Column("boot", sa.String(8), primary_key=True),
        sa.Column("complete_to", sa.BigInteger, nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.BigInteger, nullable=False),
        sa.Column("asks", sa.Integer, nullable=False),
    )
    op.create_table(
        "lost",
        sa.Column("room_id", sa.Integer, sa.ForeignKey("rooms.id"), primary_key=True),
        sa.Column("boot", sa.String(8), primary_key=True),
        sa.Column("from_seq", sa.BigInteger, primary_key=True),
        sa.Column("to_seq", sa.BigInteger, nullable=False),
        sa.Column("found", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop these tables, and with them everything that was recorded."""
    for table in ("lost", "boots", "quarters", "events", "rooms"):
        op.drop_table(table)
