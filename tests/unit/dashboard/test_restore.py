"""Restoring a backup: checks come before anything that cannot be undone."""

import signal
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is installed with roomtone[dashboard]")

from dashboard.db import lock
from dashboard.db.engine import DatabaseError, connect
from dashboard.db.schema import NewerSchemaError, migrate, quick_check
from dashboard.recorder.writer import Received, Writer
from edge.cli.main import main
from tests.support.messages import event_of

NOW = 1_770_000_000


def filled(file, room):
    url = f"sqlite:///{file}"
    engine = connect(url)
    migrate(engine)
    Writer(engine).write([Received(room, event_of("happy", NOW), 1000 * NOW)])
    engine.dispose()
    return url


def rooms_of(file):
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("select node from rooms")]


def set_revision(file, revision):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update alembic_version set version_num = ?", (revision,))


@pytest.fixture
def database(tmp_path):
    filled(tmp_path / "hub.db", "kitchen")
    return tmp_path / "hub.db"


@pytest.fixture
def signals():
    """The handlers of this process, which the recorder replaces by its own."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def backup(tmp_path):
    url = filled(tmp_path / "other.db", "study")
    assert main(["hub", "backup", "--to", str(tmp_path / "backup.db"), "--database", url]) == 0
    return tmp_path / "backup.db"


def restore(database, backup, *more):
    return main(["hub", "restore", str(backup), "--database", f"sqlite:///{database}", *more])


def test_a_backup_replaces_everything_only_if_asked(database, backup, capsys):
    assert restore(database, backup) == 2
    assert rooms_of(database) == ["kitchen"]
    assert restore(database, backup, "--replace") == 0
    assert rooms_of(database) == ["study"]
    assert database.stat().st_mode & 0o777 == 0o600


def test_a_backup_of_a_newer_version_changes_nothing(database, backup, capsys):
    set_revision(backup, "9999")
    before = database.read_bytes()
    assert restore(database, backup, "--replace") == 2
    assert database.read_bytes() == before
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "of another program", "missing"])
def test_a_damaged_backup_changes_nothing(database, backup, damage, capsys):
    content = backup.read_bytes()
    backup.unlink()
    if damage == "of another program":
        with closing(sqlite3.connect(backup)) as connection:
            connection.execute("create table songs (title text)")
    elif damage != "missing":
        parts = {"truncated": content[:9000], "garbage": bytes(range(256)) * 64, "empty": b""}
        backup.write_bytes(parts[damage])
    before = database.read_bytes()
    assert restore(database, backup, "--replace") == 2
    assert database.read_bytes() == before
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(database.parent.glob("*.restore*"))


def test_a_backup_of_an_older_version_gets_the_current_tables(database, backup):
    engine = connect(f"sqlite:///{backup}")
    migrate(engine, "0001")
    engine.dispose()
    assert restore(database, backup, "--replace") == 0
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from users").fetchone() == (0,)


def test_nothing_is_restored_while_a_program_has_the_database(database, backup, monkeypatch):
    held = []
    monkeypatch.setattr(lock, "_held", held)
    lock.hold_shared(f"sqlite:///{database}")
    assert restore(database, backup, "--replace") == 2
    assert rooms_of(database) == ["kitchen"]
    lock.os.close(held.pop())
    assert restore(database, backup, "--replace") == 0


def test_a_program_does_not_start_during_a_restore(database):
    url = f"sqlite:///{database}"
    with lock.exclusive(connect(url), url), pytest.raises(DatabaseError):
        lock.hold_shared(url)


def test_what_is_in_the_log_of_the_old_database_does_not_come_back(database, backup):
    with closing(sqlite3.connect(database)) as old:
        old.execute("pragma wal_autocheckpoint = 0")
        old.execute("insert into rooms (node, name, first_seen) values ('hall', '', 0)")
        old.commit()
        assert database.with_name("hub.db-wal").stat().st_size > 0
        # The connection stays open, as one of a program that was killed would have left its log.
        assert restore(database, backup, "--replace") == 0
        assert not database.with_name("hub.db-wal").exists()
    assert rooms_of(database) == ["study"]


def test_a_damaged_database_can_be_replaced(database, backup):
    database.write_bytes(b"garbage" * 3000)
    assert restore(database, backup) == 2
    assert restore(database, backup, "--replace") == 0
    assert rooms_of(database) == ["study"]


@pytest.mark.parametrize(
    "words",
    [("hub", "user", "list"), ("hub", "backup", "--to", "x"), ("recorder",), ("hub", "simulate", "--remove")],
    ids=" ".join,
)
def test_a_newer_database_is_refused_in_one_line(database, words, tmp_path, monkeypatch, capsys, signals):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "_held", [])
    set_revision(database, "9999")
    before = database.read_bytes()
    assert main([*words, "--database", f"sqlite:///{database}"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "9999" in said
    assert database.read_bytes()[100:] == before[100:]  # The header counts connections in WAL mode.


def test_a_newer_database_has_an_error_of_its_own(database):
    set_revision(database, "9999")
    with pytest.raises(NewerSchemaError):
        migrate(connect(f"sqlite:///{database}"))


@pytest.mark.parametrize(
    "tail", ["path?x/x.db", "x.db?mode=ro", "x.db?", "x.db?uri=true&mode=memory"], ids=str
)
def test_a_path_with_a_question_mark_is_refused(tmp_path, tail):
    with pytest.raises(DatabaseError):
        connect(f"sqlite:///{tmp_path}/{tail}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["sqlite://host/x.db", "sqlite:///file:x.db", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_names_no_file_here_is_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatabaseError):
        connect(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a#b.db", "a b.db", "ä&c=d.db"])
def test_a_file_of_any_other_name_is_the_one_that_is_opened(tmp_path, name):
    filled(tmp_path / name, "kitchen")
    assert rooms_of(tmp_path / name) == ["kitchen"]
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}


def test_the_database_is_readable_for_its_owner_alone(tmp_path):
    old = tmp_path / "old.db"
    old.touch(0o644)
    for file in (old, tmp_path / "new.db"):
        engine = connect(f"sqlite:///{file}")
        migrate(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("select 1")
            assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{file.name}*")} == {0o600}
        engine.dispose()


def test_sqlite_writes_no_temporary_files_and_overwrites_what_is_erased(database):
    with connect(f"sqlite:///{database}").connect() as connection:
        assert connection.exec_driver_sql("pragma temp_store").scalar() == 2
        assert connection.exec_driver_sql("pragma secure_delete").scalar() == 1


def test_damage_is_found_at_the_start(database):
    engine = connect(f"sqlite:///{database}")
    quick_check(engine)
    engine.dispose()
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 9] = bytes(4096 * 6)
    database.write_bytes(content)
    with pytest.raises(DatabaseError):
        quick_check(connect(f"sqlite:///{database}"))
