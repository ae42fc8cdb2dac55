"""Run by alembic, see `dashboard.db.schema`."""
