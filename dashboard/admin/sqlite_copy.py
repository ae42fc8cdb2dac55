"""Copies of SQLite databases, and the check that one is complete."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from edge.util.errors import UserError


def open_read_only(file: Path) -> sqlite3.Connection:
    """Open an existing file, whatever characters its name has. Raises `sqlite3.Error`."""
    return sqlite3.connect(f"file:{quote(os.fsencode(file.absolute()))}?mode=ro", uri=True)


def copy_database(source: sqlite3.Connection, to: Path) -> None:
    """Copy a database into one file, without a separate log. Raises `sqlite3.Error`."""
    with closing(sqlite3.connect(to)) as copy:
        copy.execute("PRAGMA temp_store = MEMORY")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def require_intact(file: Path) -> None:
    """Raise `UserError` for a file that is damaged, or no database of Roomtone."""
    try:
        with closing(open_read_only(file)) as copy:
            result = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{file}: not a backup of Roomtone's database: {error}") from None
    if result != "ok":
        raise UserError(f"{file}: the backup is damaged: {result}")
