"""Run by alembic: the connection comes from `dashboard.db.schema.migrate`."""

from alembic import context

from dashboard.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter columns in place.
)
with context.begin_transaction():
    context.run_migrations()
