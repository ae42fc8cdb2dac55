"""Run by alembic, see `database.migrate`."""
