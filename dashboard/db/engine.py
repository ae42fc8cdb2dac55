"""Opening the database: SQLite in a file by default, PostgreSQL by another URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from edge.util.errors import UserError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_MS: Final = 5000
LOCK: Final = 0x726F6F6D
"""Any number that nobody else locks."""


class DatabaseError(UserError):
    """The database cannot be used."""


def connect(url: str, *, read_only: bool = False, make: bool = True) -> Engine:
    """Opens the database without touching its tables. Raises `DatabaseError`.

    `url` as SQLAlchemy writes it: `sqlite:////var/lib/roomtone/events.db`, `postgresql+psycopg://user@host/name`.
    Without `make` a file of SQLite that is missing stays missing.
    """
    try:
        place = make_url(url)
        if place.get_backend_name() == "sqlite":
            return _sqlite(url, place.database, read_only, make and not read_only)
        # A connection that PostgreSQL closed while it restarted is noticed before it is used.
        return create_engine(url, pool_pre_ping=True, execution_options={"postgresql_readonly": read_only})
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"--database: {error}; write sqlite:////folder/file.db or postgresql+psycopg://user@host/name"
        ) from None


def migrate(engine: Engine, revision: str = "head") -> None:
    """Brings the tables to a revision (the newest), up or down. Raises `DatabaseError`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            # Recorder and dashboard may start in the same moment: one of them waits here, and then finds all done.
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            here = MigrationContext.configure(connection).get_current_revision() or ""
            if revision == "base" or (revision != "head" and revision < here):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
    except SQLAlchemyError as error:
        raise DatabaseError(f"the database cannot be prepared: {reason(error)}") from None


def reason(error: SQLAlchemyError) -> str:
    """The database's own words, on one line and without the statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _sqlite(url: str, file: str | None, read_only: bool, make: bool) -> Engine:
    if not file or file == ":memory:":
        raise DatabaseError("--database: SQLite needs a file: sqlite:////folder/file.db")
    if make and not Path(file).absolute().parent.is_dir():
        raise DatabaseError(f"--database: no such folder: {Path(file).absolute().parent}; make it first")
    if not make:
        url = f"sqlite:///file:{quote(file)}?mode=rw&uri=true"
    # The dashboard opens the file for each question: one that it kept open might have been replaced from a backup.
    pool = None if make else NullPool
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000}, poolclass=pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        if not read_only:
            # WAL: readers never wait for the recorder. FULL: what has been acknowledged survives a power cut.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    return engine
