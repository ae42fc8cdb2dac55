"""Kinds of alert rules, their channels, what was delivered, and browsers that are notified."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COLUMNS: dict[str, tuple[Any, str]] = {
    "kind": (sa.String(8), "emotion"),
    "level": (sa.SmallInteger, "0"),
    "paused": (sa.SmallInteger, "0"),
    "email": (sa.String(200), ""),
    "push": (sa.SmallInteger, "0"),
}


def upgrade() -> None:
    """Add the columns and tables; rules that are there stay as they are."""
    for name, (kind, default) in COLUMNS.items():
        op.add_column("rules", sa.Column(name, kind, nullable=False, server_default=default))
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule_id", sa.Integer, sa.ForeignKey("rules.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("error", sa.String(200), nullable=False),
        sa.Index("deliveries_by_rule", "rule_id", "at"),
    )
    op.create_table(
        "push_subscriptions",
        sa.Column("endpoint", sa.String(500), primary_key=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("p256dh", sa.String(100), nullable=False),
        sa.Column("auth", sa.String(40), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "push_key",
        sa.Column("id", sa.SmallInteger, primary_key=True),
        sa.Column("private", sa.LargeBinary(32), nullable=False),
    )


def downgrade() -> None:
    """Remove them."""
    for table in ("push_key", "push_subscriptions", "deliveries"):
        op.drop_table(table)
    with op.batch_alter_table("rules") as rules:
        for name in COLUMNS:
            rules.drop_column(name)
