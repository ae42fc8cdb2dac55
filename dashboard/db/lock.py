"""Tells whether the database is in use: recorder and dashboard hold it shared, `roomtone hub restore` exclusively.

For SQLite it is a lock on a file beside the database, for PostgreSQL the list of connections.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.engine import (
    APPLICATION_NAME,
    FILE_MODE,
    DatabaseError,
    describe_database,
    describe_error,
    parse_url,
    require_folder,
    sqlite_file,
)
from edge.util.errors import reason

_held: list[int] = []


def hold_shared(url: str) -> None:
    """Mark the database as in use until this process ends. Raises `DatabaseError` during a restore."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        _held.append(
            _lock(sqlite_file(parsed), fcntl.LOCK_SH, "the database is being restored: wait for its end")
        )


@contextmanager
def exclusive(engine: Engine, url: str) -> Iterator[None]:
    """Keep recorder and dashboard away. Raises `DatabaseError` if one of them is running."""
    in_use = "recorder or dashboard is running: stop both first"
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = sqlite_file(parsed)
        descriptor = _lock(file, fcntl.LOCK_EX, in_use)
        try:
            yield
        finally:
            if not file.exists():
                lock_file(file).unlink(missing_ok=True)
            os.close(descriptor)
        return
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = :name AND pid <> pg_backend_pid()"
    )
    try:
        with engine.connect() as connection:
            others = connection.execute(statement, {"name": APPLICATION_NAME}).scalar()
    except SQLAlchemyError as error:
        raise DatabaseError(
            f"the database {describe_database(engine)} cannot be read ({describe_error(error)}): check its address and "
            "rights"
        ) from None
    if others:
        raise DatabaseError(in_use)
    engine.dispose()
    yield


def _lock(file: Path, how: int, refusal: str) -> int:
    require_folder(file)
    path = lock_file(file)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise DatabaseError(f"--database: {path}: {reason(error)}") from None
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseError(refusal) from None
    return descriptor


def lock_file(file: Path) -> Path:
    """Return the file that programs lock while they use the SQLite database `file`."""
    return file.with_name(f".{file.name}.lock")
