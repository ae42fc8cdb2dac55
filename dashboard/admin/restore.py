"""`roomtone hub restore`: replaces the database by a backup, as a whole or not at all.

Everything is checked before the database is touched: the backup is complete, its schema is known, and neither recorder
nor dashboard is running.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from dashboard.admin.options import add_database
from edge.util.atomic_file import move_into_place
from edge.util.errors import UserError, reason


def register(verbs: Any) -> None:
    """Add `restore` to the commands of `roomtone hub`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "restore",
        help="replace the database by a backup",
        description="Replaces the database by a backup, as a whole or not at all. Stop recorder and dashboard first.",
    )
    add_database(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="from `roomtone hub backup`")
    parser.add_argument("--replace", action="store_true", help="even if the database is not empty")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Restore the backup. Raises `UserError`; the database is then as it was before."""
    from dashboard.admin.database import require_url
    from dashboard.db.engine import connect, parse_url, sqlite_file
    from dashboard.db.lock import exclusive

    url = require_url(options.database)
    parsed = parse_url(url)
    if not options.file.is_file():
        raise UserError(
            f"{options.file}: there is no such file; name one that `roomtone hub backup` has written"
        )
    is_new = parsed.get_backend_name() == "sqlite" and not sqlite_file(parsed).exists()
    # Never created here: a backup that is refused leaves nothing.
    engine = connect(url, create=False)
    try:
        with exclusive(engine, url):
            if not options.replace and not is_new and not _is_empty(engine):
                raise UserError("the database is not empty and would be overwritten: add --replace")
            engine.dispose()
            if parsed.get_backend_name() == "sqlite":
                _restore_sqlite(options.file, sqlite_file(parsed))
            else:
                _restore_postgres(options.file, parsed, url)
    finally:
        engine.dispose()
    print(f"{options.file}: restored")
    return 0


def _restore_sqlite(backup: Path, database: Path) -> None:
    """Copy into a new file, check and migrate that, and exchange the files in one step."""
    from dashboard.admin.sqlite_copy import copy_database, open_read_only, require_intact
    from dashboard.db.engine import connect
    from dashboard.db.schema import NewerSchemaError, migrate

    if backup.exists() and database.exists() and backup.samefile(database):
        raise UserError(f"{backup}: is the database itself")
    require_intact(backup)
    new = database.with_name(f".{database.name}.restore")
    try:
        _remove(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(open_read_only(backup)) as source:
            copy_database(source, new)
        engine = connect(f"sqlite:///{new.absolute()}")
        try:
            # A backup of an older version gets the current tables; one of a newer version is refused here.
            migrate(engine)
        except NewerSchemaError as error:
            raise UserError(f"{backup}: {error}") from None
        finally:
            engine.dispose()
        with closing(sqlite3.connect(new)) as copy:
            copy.execute("PRAGMA journal_mode = DELETE")
        require_intact(new)
        # The log of the old file must not be applied to the new one.
        if database.exists():
            with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(database)) as old:
                old.execute("PRAGMA journal_mode = DELETE")
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        move_into_place(new, database)
    except OSError as error:
        raise UserError(f"{error.filename or database}: {reason(error)}; nothing was changed") from None
    except sqlite3.Error as error:
        raise UserError(f"{backup}: cannot be restored: {error}; nothing was changed") from None
    finally:
        _remove(new)


def _restore_postgres(backup: Path, parsed: Any, url: str) -> None:
    from dashboard.admin import postgres
    from dashboard.db.engine import connect
    from dashboard.db.schema import migrate, require_known

    # Reads the whole archive, and the revision in it, before anything is changed.
    postgres.run("pg_restore", None, "--file=/dev/null", str(backup))
    script = postgres.run(
        "pg_restore", None, "--data-only", "--table=alembic_version", "--file=-", str(backup)
    )
    found = re.search(r"^COPY [^\n]*alembic_version[^\n]*\n(\S+)\n", script, re.MULTILINE)
    if found is None or found[1] == "\\.":
        raise UserError(f"{backup}: not a backup of Roomtone's database")
    require_known(found[1])
    arguments = ("--clean", "--if-exists", "--single-transaction", "--no-owner", str(backup))
    postgres.run("pg_restore", parsed, *arguments)
    engine = connect(url)
    try:
        migrate(engine)
    finally:
        engine.dispose()


def _is_empty(engine: Any) -> bool:
    from sqlalchemy import func, inspect, select
    from sqlalchemy.exc import SQLAlchemyError

    from dashboard.db.tables import rooms, users

    try:
        known = inspect(engine)
        with engine.connect() as connection:
            return not any(
                known.has_table(table.name)
                and connection.execute(select(func.count()).select_from(table)).scalar()
                for table in (rooms, users)
            )
    except SQLAlchemyError:
        return False  # Damaged: it is for the user to say that it may be replaced.


def _remove(file: Path) -> None:
    from dashboard.admin.database import remove_database
    from dashboard.db.lock import lock_file

    remove_database(file)
    lock_file(file).unlink(missing_ok=True)
