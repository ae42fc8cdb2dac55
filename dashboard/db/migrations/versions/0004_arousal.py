"""The arousal of each utterance, relative to what is usual in its room."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column of arousal; it is null for older events."""
    op.add_column("events", sa.Column("arousal", sa.SmallInteger, nullable=True))


def downgrade() -> None:
    """Drop the column of arousal."""
    with op.batch_alter_table("events") as table:
        table.drop_column("arousal")
