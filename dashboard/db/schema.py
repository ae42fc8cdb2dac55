"""The schema of the database: migration to the newest revision, and the checks before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.engine import BUSY_TIMEOUT_MS, DatabaseError, describe_database, describe_error

MIGRATIONS: Final = Path(__file__).parent / "migrations"
MIGRATION_LOCK: Final = 0x726F6F6D
"""Key of PostgreSQL's advisory lock for migrations; any number that no other program uses."""

MIGRATION_TIMEOUT_MS: Final = 60_000
"""How long to wait for the migration of another program, which may copy large tables."""


class NewerSchemaError(DatabaseError):
    """The database was written by a newer version of Roomtone."""


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade or downgrade the schema to a revision (default: the newest).

    Raises `DatabaseError`; for a revision that this version does not know `NewerSchemaError`, before any change.
    """
    config = _config()
    try:
        with engine.begin() as connection:
            # Recorder and dashboard may start at the same time: one waits here and then finds nothing left to do.
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            else:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {MIGRATION_TIMEOUT_MS}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            config.attributes["connection"] = connection
            current = current_revision(connection)
            require_known(current)
            if revision == "base" or (revision != "head" and revision < current):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
    except SQLAlchemyError as error:
        raise DatabaseError(
            f"the database {describe_database(engine)} cannot be prepared ({describe_error(error)}): check its address "
            "and rights, or use another"
        ) from None


def current_revision(connection: Connection) -> str:
    """Return the revision of a database; empty if it has no tables of ours. Raises `DatabaseError` for several."""
    heads = MigrationContext.configure(connection).get_current_heads()
    if len(heads) > 1:
        raise DatabaseError(
            f"the database has {len(heads)} revisions where one belongs: it is damaged; restore a backup"
        )
    return heads[0] if heads else ""


def require_known(revision: str) -> None:
    """Raise `NewerSchemaError` for a revision that this version does not know."""
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    if revision and revision not in known:
        raise NewerSchemaError(
            f"the database was written by a newer version of Roomtone (revision {revision[:32]}, this version knows "
            f"up to {max(known)}): update Roomtone, or use another database"
        )


def require_known_revision(engine: Engine) -> None:
    """Read the revision of a database without changing it. Raises `DatabaseError`, `NewerSchemaError`."""
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
    except SQLAlchemyError as error:
        raise DatabaseError(
            f"the database {describe_database(engine)} cannot be read ({describe_error(error)}): check its address and "
            "rights"
        ) from None
    require_known(revision)


def quick_check(engine: Engine) -> None:
    """Check a SQLite file for damage. Raises `DatabaseError`. PostgreSQL checks its pages itself."""
    if engine.dialect.name != "sqlite":
        return
    try:
        with engine.connect() as connection:
            result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except SQLAlchemyError as error:
        result = describe_error(error)
    if result != "ok":
        raise DatabaseError(
            f"the database {engine.url.database} is damaged ({result}): restore a backup with "
            "`roomtone hub restore FILE --replace`"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
