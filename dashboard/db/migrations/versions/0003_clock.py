"""The guarded time, by which data is deleted and sessions end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make its table."""
    op.create_table(
        "clock",
        sa.Column("id", sa.SmallInteger, primary_key=True),
        sa.Column("guarded", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Remove it; the next start takes the newest event as its reference."""
    op.drop_table("clock")
