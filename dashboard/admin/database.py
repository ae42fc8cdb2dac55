"""The database that a verb of `roomtone hub` works on."""

from __future__ import annotations

from sqlalchemy import Engine

from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from edge.util.errors import UserError


def require_url(url: str | None) -> str:
    """Return the URL of the database. Raises `UserError` if none was given."""
    if not url:
        raise UserError("no database: use --database URL or the variable ROOMTONE_DATABASE")
    return url


def open_database(url: str | None) -> Engine:
    """Open the database and migrate it to the newest schema. Raises `UserError`."""
    engine = connect(require_url(url))
    migrate(engine)
    return engine
