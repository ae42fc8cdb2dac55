"""A command of the hub that is refused says what and why in one line, and leaves no file behind."""

from __future__ import annotations

import io
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is installed with roomtone[dashboard]")

from dashboard.db.engine import DatabaseError, connect
from dashboard.db.schema import migrate
from edge.cli.main import main


def backup_of_a_newer_version(path: Path) -> None:
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma journal_mode = delete")
        connection.execute("update alembic_version set version_num = '9999'")


def backup_of_two_revisions(path: Path) -> None:
    backup_of_a_newer_version(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = '0006'")
        connection.execute("insert into alembic_version values ('0001')")


BACKUPS = {
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "empty": lambda path: path.touch(),
    "of a newer version": backup_of_a_newer_version,
    "of two revisions": backup_of_two_revisions,
    "a folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}
REFUSED = {
    "list": ("user", "list"),
    "remove": ("user", "remove", "ann"),
    "role": ("user", "role", "ann", "--role", "viewer"),
    "token": ("user", "token", "ann"),
    "passwd": ("user", "passwd", "ann", "--generate"),
    "backup": ("backup", "--to", "b.db"),
    "simulate": ("simulate", "--remove"),
    "no rooms": ("simulate", "--rooms", "0"),
    "a short password": ("user", "add", "ann", "--stdin"),
    "an odd name": ("user", "add", "a\nb", "--generate"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a refusal."""
    assert main(list(words)) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    return said


@pytest.mark.parametrize("kind", BACKUPS)
@pytest.mark.parametrize("more", [(), ("--replace",)], ids=["", "replace"])
def test_a_refused_restore_leaves_no_database(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str, more: tuple[str, ...]
) -> None:
    BACKUPS[kind](folder / "backup")
    before = sorted(folder.iterdir())
    assert "backup" in refused(capsys, "hub", "restore", "backup", *more, "--database", "sqlite:///hub.db")
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_a_refused_command_creates_no_database(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    refused(capsys, "hub", *words, "--database", "sqlite:///hub.db")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_no_database_is_named_and_not_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (folder / "hub.db").write_bytes(bytes(range(256)) * 40)
    said = refused(capsys, "hub", *words, "--database", "sqlite:///hub.db")
    assert "hub.db" in said or "--rooms" in said
    assert (folder / "hub.db").read_bytes() == bytes(range(256)) * 40
    assert [path.name for path in folder.iterdir()] == ["hub.db"]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql://ann:secret@host/x", "mysql"),
        ("oracle://host/x", "oracle"),
        ("postgres://ann:secret@host/x", "postgres"),
        ("postgresql+asyncpg://ann:se:cr@t@host/x", "postgresql+asyncpg"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite"),
        ("SQLITE:///x.db", "SQLITE"),
        ("http://host/x", "http"),
        ("nonsense", "nonsense"),
        ("postgresql+psycopg://ann:secret@host:port/x", "port"),
        ("postgresql+nothing://host/x?password=secret", "postgresql+nothing"),
        ("sqlite:///x\0.db", "zero byte"),
        ("sqlite:////dev/null", "/dev/null"),
        ("sqlite:///no/such/x.db", "no/such"),
        ("sqlite:///.", "not a regular file"),
    ],
)
@pytest.mark.parametrize("words", [("hub", "user", "list"), ("recorder",)], ids=" ".join)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    url: str,
    word: str,
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    said = refused(capsys, *words, "--database", url)
    assert "--database" in said
    assert word in said
    assert not [part for part in ("secret", "se:cr", "cr@t") if part in said]


@pytest.mark.parametrize(
    "words", [("user", "list"), ("backup", "--to", "b"), ("restore", "old")], ids=" ".join
)
def test_a_server_that_does_not_answer_is_named_without_its_password(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (folder / "old").touch()
    said = refused(capsys, "hub", *words, "--database", "postgresql+psycopg://ann:secret@127.0.0.1:1/x")
    assert "127.0.0.1:1/x" in said
    assert "secret" not in said


@pytest.mark.parametrize("target", ["hub.db", "./hub.db", "link.db", "hard.db", "hub.db-wal", ".", "folder"])
def test_a_backup_never_replaces_the_database_or_a_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    connection = connect("sqlite:///hub.db")
    migrate(connection)
    connection.dispose()
    (folder / "link.db").symlink_to("hub.db")
    (folder / "hard.db").hardlink_to(folder / "hub.db")
    (folder / "folder").mkdir()
    number, before = (folder / "hub.db").stat().st_ino, sorted(folder.iterdir())
    assert str(Path(target)) in refused(
        capsys, "hub", "backup", "--to", target, "--database", "sqlite:///hub.db"
    )
    assert (folder / "hub.db").stat().st_ino == number
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "value"), [("--host", "a/b"), ("--host", "http://hub.local"), ("--mqtt-port", "70000")]
)
def test_a_refused_set_up_creates_no_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    pytest.importorskip("cryptography", reason="cryptography is installed with roomtone[fleet]")
    said = refused(capsys, "hub", "setup", "--dir", "hub", option, value)
    assert option in said and value in said
    assert list(folder.iterdir()) == []


def test_postgresql_needs_no_driver_in_its_url() -> None:
    assert connect("postgresql://host/x").url.drivername == "postgresql+psycopg"
    with pytest.raises(DatabaseError):
        connect("postgresql+psycopg2://host/x")


@pytest.mark.parametrize("content", [b"RIFF....WAVE", b"", b"SQLite format 3\0 of another program"])
def test_a_backup_replaces_a_file_only_if_asked(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    connection = connect("sqlite:///hub.db")
    migrate(connection)
    connection.dispose()
    (folder / "speech.wav").write_bytes(content)
    said = refused(capsys, "hub", "backup", "--to", "speech.wav", "--database", "sqlite:///hub.db")
    assert "speech.wav" in said and "--replace" in said
    assert (folder / "speech.wav").read_bytes() == content
    backup = ["hub", "backup", "--to", "backup.db", "--database", "sqlite:///hub.db"]
    assert (main(backup), main([*backup, "--replace"])) == (0, 0)
    os.mkfifo("pipe")
    assert "pipe" in refused(
        capsys, "hub", "backup", "--to", "pipe", "--replace", "--database", "sqlite:///hub.db"
    )
