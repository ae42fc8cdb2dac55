"""Opening the database and bringing its schema up to date: SQLite in a file by default, PostgreSQL by URL."""

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
BUSY_TIMEOUT_MS: Final = 5000
MIGRATION_LOCK: Final = 0x726F6F6D
"""Key of PostgreSQL's advisory lock for migrations; any number that no other program uses."""


class DatabaseError(UserError):
    """The database cannot be opened or migrated."""


def connect(url: str, *, read_only: bool = False, create: bool = True) -> Engine:
    """Open the database without changing its schema.

    `url` as SQLAlchemy writes it: `sqlite:////var/lib/roomtone/events.db` or `postgresql+psycopg://user@host/name`.
    With `create=False` a missing SQLite file is not created. Raises `DatabaseError`.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _connect_sqlite(url, parsed.database, read_only, create and not read_only)
        # A connection that PostgreSQL closed while it restarted is noticed before it is used.
        return create_engine(url, pool_pre_ping=True, execution_options={"postgresql_readonly": read_only})
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"--database: {error}; write sqlite:////folder/file.db or postgresql+psycopg://user@host/name"
        ) from None


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade or downgrade the schema to a revision (default: the newest). Raises `DatabaseError`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            # Recorder and dashboard may start at the same time: one waits here and then finds nothing left to do.
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            current = MigrationContext.configure(connection).get_current_revision() or ""
            if revision == "base" or (revision != "head" and revision < current):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
    except SQLAlchemyError as error:
        raise DatabaseError(f"the database cannot be prepared: {describe_error(error)}") from None


def describe_error(error: SQLAlchemyError) -> str:
    """Return the database's own message on one line, without the SQL statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _connect_sqlite(url: str, file: str | None, read_only: bool, create: bool) -> Engine:
    if not file or file == ":memory:":
        raise DatabaseError("--database: SQLite needs a file: sqlite:////folder/file.db")
    if create and not Path(file).absolute().parent.is_dir():
        raise DatabaseError(f"--database: no such folder: {Path(file).absolute().parent}; create it first")
    if not create:
        url = f"sqlite:///file:{quote(file)}?mode=rw&uri=true"
    # The dashboard opens the file for each query: a file that it kept open might have been replaced by a restore.
    pool = None if create else NullPool
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, poolclass=pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        if not read_only:
            # WAL: readers never wait for the recorder. FULL: what has been acknowledged survives a power cut.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    return engine
