"""The database that a verb of `roomtone hub` works on."""

from __future__ import annotations

from sqlalchemy import Engine

from dashboard.db.engine import connect, migrate
from edge.util.errors import UserError


def open_database(url: str | None) -> Engine:
    """Open the database and migrate it to the newest schema. Raises `UserError`."""
    if not url:
        raise UserError("no database: use --database URL or the variable ROOMTONE_DATABASE")
    engine = connect(url)
    migrate(engine)
    return engine
