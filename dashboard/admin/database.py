"""The database that a verb of `roomtone hub` works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from dashboard.db.engine import connect, parse_url, require_folder, sqlite_file
from dashboard.db.schema import migrate
from edge.util.errors import UserError

OF_RUN_HUB: Final = Path("hub/data/roomtone.db")
"""What `./run hub` makes in a checkout."""


def require_url(url: str | None) -> str:
    """Return the URL of the database. Raises `UserError` if none was given."""
    if not url:
        here = f"; that of this folder: --database sqlite:///{OF_RUN_HUB}" if OF_RUN_HUB.exists() else ""
        raise UserError(f"no database: use --database URL or the variable ROOMTONE_DATABASE{here}")
    return url


def existing_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for a server. Raises `UserError` where there is no such file."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    file = sqlite_file(parsed)
    require_folder(file)
    if not file.exists():
        raise UserError(
            f"--database: there is no {file}; the recorder creates it, or `roomtone hub user add NAME`"
        )
    return file


@contextmanager
def open_database(url: str | None, *, create: bool = False) -> Iterator[Engine]:
    """Open the database, migrate it to the newest schema, and close it at the end. Raises `UserError`.

    With `create` a missing SQLite file is created, and removed again if what is done with it raises `UserError`: a
    command that was refused leaves nothing.
    """
    url = require_url(url)
    parsed = parse_url(url)
    file = sqlite_file(parsed) if parsed.get_backend_name() == "sqlite" else None
    is_new = create and file is not None and not file.exists()
    if not create:
        existing_file(url)
    engine = connect(url)
    try:
        migrate(engine)
        yield engine
    except UserError:
        if file is not None and is_new:
            engine.dispose()
            remove_database(file)
        raise
    finally:
        engine.dispose()


def remove_database(file: Path) -> None:
    """Remove a SQLite database that is not in use, with its log files."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
