"""The guarded time, by which data is deleted and sessions end."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table of the guarded clock."""
    op.create_table(
        "clock",
        sa.Column("id", sa.SmallInteger, primary_key=True),
        sa.Column("guarded", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the table of the guarded clock; the next start takes the newest event as its reference."""
    op.drop_table("clock")
