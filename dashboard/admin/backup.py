"""`roomtone hub backup`: the whole database as one file, while recorder and dashboard are running."""

from __future__ import annotations

import argparse
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from dashboard.admin.options import add_database
from edge.util.atomic_file import move_into_place
from edge.util.errors import UserError, reason


def register(verbs: Any) -> None:
    """Add `backup` to the commands of `roomtone hub`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "backup",
        help="write the whole database into one file, while everything is running",
        description="Writes the whole database (events, accounts, rules) into one file, while everything is running.",
    )
    add_database(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="where the backup goes")
    parser.add_argument("--replace", action="store_true", help="replace FILE where it exists")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write a backup of the database into the file that the options name. Raises `UserError`."""
    from dashboard.admin import postgres
    from dashboard.admin.database import existing_file, require_url
    from dashboard.db.engine import connect, parse_url
    from dashboard.db.schema import require_known_revision

    url = require_url(options.database)
    database = existing_file(url)
    engine = connect(url, read_only=True)
    try:
        require_known_revision(engine)
    finally:
        engine.dispose()
    _check_target(options.to, database, replace=options.replace)
    partial = options.to.with_name(f".{options.to.name}.part")
    try:
        partial.unlink(missing_ok=True)
        if database is not None:
            _copy(database, partial)
        else:
            postgres.run("pg_dump", parse_url(url), "--format=custom", f"--file={partial}")
        move_into_place(partial, options.to)
    except OSError as error:
        raise UserError(f"--to {options.to}: {reason(error)}") from None
    except sqlite3.Error as error:
        raise UserError(f"the backup failed: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
    print(f"{options.to}: {options.to.stat().st_size / 1e6:.1f} MB")
    return 0


def _check_target(to: Path, database: Path | None, *, replace: bool) -> None:
    """Raises `UserError` for what a backup must not replace: the files of the database itself, and what is no file.

    Another file is replaced only if that is asked for.
    """
    try:
        if not to.name or to.is_dir():
            raise UserError(f"--to {to}: is a folder; name a file in it")
        own = [] if database is None else [Path(f"{database}{end}") for end in ("", "-wal", "-shm")]
        if any(
            os.path.realpath(to) == os.path.realpath(path)
            or (to.exists() and path.exists() and to.samefile(path))
            for path in own
        ):
            raise UserError(f"--to {to}: belongs to the database itself; name another file")
        if to.exists() and not (replace and to.is_file()):
            raise UserError(f"--to {to}: exists already; name another file, or add --replace")
    except OSError as error:
        raise UserError(f"--to {to}: {reason(error)}") from None


def _copy(database: Path, to: Path) -> None:
    from dashboard.admin.sqlite_copy import copy_database, require_intact

    os.close(os.open(to, os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(database, timeout=30)) as source:
        copy_database(source, to)
    require_intact(to)
