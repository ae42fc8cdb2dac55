"""What browser a session belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; sessions that are open stay so."""
    op.add_column("sessions", sa.Column("agent", sa.String(200), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove it."""
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("agent")
