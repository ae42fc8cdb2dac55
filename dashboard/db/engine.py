"""Opening the database: SQLite in a file by default, PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, NullPool, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from edge.util.errors import UserError, reason

DRIVERS: Final = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
"""Names before the `://` of a URL."""
BUSY_TIMEOUT_MS: Final = 5000
BUSY_RETRY_S: Final = 0.02
FILE_MODE: Final = 0o600
APPLICATION_NAME: Final = "roomtone"
"""How PostgreSQL lists our connections."""


class DatabaseError(UserError):
    """The database cannot be opened, is damaged, or has a schema that this version does not know."""


def connect(url: str, *, read_only: bool = False, create: bool = True) -> Engine:
    """Open the database without changing its schema.

    `url` as SQLAlchemy writes it: `sqlite:////var/lib/roomtone/events.db` or `postgresql+psycopg://user@host/name`.
    With `create=False` a missing SQLite file is not created. Raises `DatabaseError`.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _connect_sqlite(sqlite_file(parsed), read_only, create and not read_only)
    try:
        # A connection that PostgreSQL closed while it restarted is noticed before it is used.
        return create_engine(
            parsed.set(drivername=DRIVERS[-1]).update_query_dict({"application_name": APPLICATION_NAME}),
            pool_pre_ping=True,
            execution_options={"postgresql_readonly": read_only},
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"--database: {_shown(url)} needs the Python package {error.name}: pip install 'psycopg[binary]'"
        ) from None


def parse_url(url: str) -> URL:
    """Parse the URL of a database. Raises `DatabaseError` for one that would not open what it says."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise _url_error(f"{_shown(url)} is not the URL of a database") from None
    if parsed.drivername not in DRIVERS:
        raise _url_error(
            f"{_shown(url)}: `{parsed.drivername}` is not supported, only SQLite and PostgreSQL are"
        )
    if "\0" in (parsed.database or ""):
        raise _url_error(f"{_shown(url)}: a name cannot contain a zero byte")
    if parsed.get_backend_name() != "sqlite":
        return parsed
    # What follows a `?` is no part of the path: SQLAlchemy would open a file of another name.
    if parsed.query or "?" in url or parsed.host or (parsed.database or "").startswith("file:"):
        raise _url_error(f"{_shown(url)}: the path of a SQLite file must not contain `?`, a host or `file:`")
    return parsed


def sqlite_file(url: URL) -> Path:
    """Return the file of a SQLite URL. Raises `DatabaseError` if it names none."""
    if not url.database or url.database == ":memory:":
        raise DatabaseError("--database: SQLite needs a file: sqlite:////folder/file.db")
    return Path(url.database)


def require_folder(file: Path) -> None:
    """Raise `DatabaseError` where the folder of a SQLite file does not exist, or the file is something else."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise DatabaseError(f"--database: no such folder: {folder}; create it first")
    if file.exists() and not file.is_file():
        raise DatabaseError(f"--database: {file} is not a regular file; name the file of a database")


def describe_database(engine: Engine) -> str:
    """Return the file of SQLite, or the URL of a server without its password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.render_as_string(hide_password=True).partition("?")[0]


def describe_error(error: SQLAlchemyError) -> str:
    """Return the database's own message on one line, without the SQL statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _shown(url: str) -> str:
    """The URL without what may be a password in it."""
    return re.sub(r"(://[^:/@]*:).*(?=@)|(password=)[^&]*", lambda m: f"{m[1] or m[2]}***", url)


def _url_error(text: str) -> DatabaseError:
    return DatabaseError(
        f"--database: {text}; write sqlite:////folder/file.db or postgresql+psycopg://user@host/name"
    )


def _connect_sqlite(file: Path, read_only: bool, create: bool) -> Engine:
    if create:
        require_folder(file)
        _create_private(file)
    # The dashboard opens the file for each query: a file that it kept open might have been replaced by a restore.
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        # Opened here: SQLAlchemy would decode special characters of the name once too often.
        creator=lambda: sqlite3.connect(
            f"file:{quote(os.fsencode(file))}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_MS / 1000,
            check_same_thread=False,
        ),
        poolclass=QueuePool if create else NullPool,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        if not read_only:
            _use_wal(connection)
            # FULL: what has been acknowledged survives a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            # Erased data is overwritten, whatever the library was built with.
            connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        # SQLite would put large sorts into files in /var/tmp.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log: readers never wait for the recorder.

    SQLite does not wait for other connections there as it does elsewhere: recorder and dashboard, started in the same
    moment, would make each other fail.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_RETRY_S)


def _create_private(file: Path) -> None:
    """Create the file readable for its owner only; SQLite gives its log and index files the same mode.

    An existing file is not opened: closing it would release the locks of all connections of this process.
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE))
        for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            if path.exists() and path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o077:
                path.chmod(FILE_MODE)
    except OSError as error:
        raise DatabaseError(f"--database: {file}: {reason(error)}") from None
