"""`roomtone hub backup` and `restore`: the database as one file."""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from dashboard.admin.options import add_database
from edge.util.atomic_file import move_into_place
from edge.util.errors import UserError


def register(verbs: Any) -> None:
    """Add the verb `backup`."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "backup",
        help="the whole database as one file, while everything goes on",
        description="Writes the whole database (events, accounts, rules) into one file, while everything goes on.",
    )
    add_database(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE")
    parser.set_defaults(run=_backup)
    parser = verbs.add_parser(
        "restore",
        help="bring a backup back",
        description="Replaces the database by a backup, as a whole or not at all. Stop recorder and dashboard first.",
    )
    add_database(parser)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--replace", action="store_true", help="also where the database has something in it")
    parser.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> int:
    url = _url(options.database)
    beside = options.to.with_name(f".{options.to.name}.part")
    try:
        beside.unlink(missing_ok=True)
        if url.get_backend_name() == "sqlite":
            if not url.database or not Path(url.database).is_file():
                raise UserError(f"--database: there is no {url.database}")
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL, 0o600))
            with (
                closing(sqlite3.connect(url.database, timeout=30)) as source,
                closing(sqlite3.connect(beside)) as copy,
            ):
                source.backup(copy)
                # One file, not a file and its log.
                copy.execute("PRAGMA journal_mode = DELETE")
            _check(beside)
        else:
            _run("pg_dump", "--format=custom", f"--file={beside}", url)
        move_into_place(beside, options.to)
    except OSError as error:
        raise UserError(f"--to {options.to}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise UserError(f"the backup failed: {error}") from None
    finally:
        beside.unlink(missing_ok=True)
    print(f"{options.to}: {options.to.stat().st_size / 1e6:.1f} MB")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from dashboard.db.engine import connect, migrate

    url = _url(options.database)
    if not options.file.is_file():
        raise UserError(f"{options.file}: there is no such file")
    if not options.replace and _has_something(options.database):
        raise UserError("the database has something in it, which would be gone: add --replace")
    if url.get_backend_name() == "sqlite":
        _check(options.file)
        assert url.database is not None
        try:
            with (
                closing(sqlite3.connect(f"file:{options.file}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(url.database, timeout=30)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise UserError(f"the backup could not be brought back: {error}") from None
    else:
        _run(
            "pg_restore",
            "--clean",
            "--if-exists",
            "--single-transaction",
            "--no-owner",
            str(options.file),
            url,
        )
    engine = connect(options.database)
    # A backup of an older version gets the tables of this one.
    migrate(engine)
    engine.dispose()
    print(f"{options.file}: restored")
    return 0


def _url(text: str | None) -> Any:
    from sqlalchemy import make_url

    from dashboard.db.engine import connect

    if not text:
        raise UserError("which database? --database URL, or the variable ROOMTONE_DATABASE")
    connect(text).dispose()
    return make_url(text)


def _has_something(text: str) -> bool:
    from sqlalchemy import func, inspect, select

    from dashboard.db.engine import connect
    from dashboard.db.tables import rooms

    engine = connect(text)
    try:
        if not inspect(engine).has_table(rooms.name):
            return False
        with engine.connect() as connection:
            return bool(connection.execute(select(func.count()).select_from(rooms)).scalar())
    finally:
        engine.dispose()


def _check(file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
            answer = copy.execute("PRAGMA integrity_check").fetchone()[0]
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise UserError(f"{file}: not a backup of Roomtone's database: {error}") from None
    if answer != "ok":
        raise UserError(f"{file}: it is damaged: {answer}")


def _run(program: str, *words: Any) -> None:
    *options, url = words
    if shutil.which(program) is None:
        raise UserError(f"no {program} here: apt install postgresql-client")
    # The password does not stand in the arguments, which every user of the machine sees.
    env = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    bare = url.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(
        [program, *options, f"--dbname={bare}"], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UserError(f"{program}: {' '.join(done.stderr.split())[-300:]}")
