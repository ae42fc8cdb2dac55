"""The schema of the database: migration to the newest revision, and the checks before it is used.

alembic is loaded only where there is something to migrate: a program keeps its 9 MB for as long as it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from dashboard.db.engine import BUSY_TIMEOUT_MS, DatabaseError, describe_database, describe_error

if TYPE_CHECKING:
    from alembic.config import Config

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
    try:
        if revision == "head" and _is_newest(engine):
            return
        from alembic import command

        config = _config()
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
    from alembic.runtime.migration import MigrationContext

    heads = MigrationContext.configure(connection).get_current_heads()
    if len(heads) > 1:
        raise DatabaseError(
            f"the database has {len(heads)} revisions where one belongs: it is damaged; restore a backup"
        )
    return heads[0] if heads else ""


def require_known(revision: str) -> None:
    """Raise `NewerSchemaError` for a revision that this version does not know."""
    from alembic.script import ScriptDirectory

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


def newest_revision() -> str:
    """Return the newest revision that this version knows, by the names of its files."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _is_newest(engine: Engine) -> bool:
    """Return whether a database needs no migration. Raises `SQLAlchemyError`."""
    try:
        if not inspect(engine).has_table("alembic_version"):
            return False
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    except OperationalError:
        # Another program may have locked a SQLite file to migrate it, for which the migration waits longer.
        if engine.dialect.name == "sqlite":
            return False
        raise
    return list(found) == [newest_revision()]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
