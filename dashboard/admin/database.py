"""The database that a command works on."""

from __future__ import annotations

from sqlalchemy import Engine

from dashboard.auth.accounts import Accounts
from dashboard.db.engine import connect, migrate
from edge.util.errors import UserError


def open_database(url: str | None) -> Engine:
    """The database, with all its tables. Raises `UserError`."""
    if not url:
        raise UserError("which database? --database URL, or the variable ROOMTONE_DATABASE")
    engine = connect(url)
    migrate(engine)
    return engine


def accounts_of(url: str | None) -> tuple[Accounts, Engine]:
    """The accounts in it. Raises `UserError`."""
    engine = open_database(url)
    return Accounts(engine), engine
