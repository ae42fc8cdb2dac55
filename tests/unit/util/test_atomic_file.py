"""Files that appear as a whole, with their rights from the first byte."""

import os
import re
from pathlib import Path

import pytest

from edge.util.atomic_file import move_into_place, replacing, update, write


def test_a_file_has_its_rights_whatever_the_umask_and_leaves_nothing_beside(tmp_path):
    before = os.umask(0o777)
    try:
        write(tmp_path / "key", "secret", 0o640)
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_file_that_cannot_take_its_place_leaves_nothing_beside(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "taken", b"x", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_is_so_already_is_not_written_again(tmp_path):
    path = tmp_path / "room.toml"
    assert update(path, "é", 0o644)
    first = path.stat().st_ino
    assert not update(path, "é", 0o644)
    assert path.stat().st_ino == first
    assert update(path, "é", 0o600)
    assert update(path, b"\xff", 0o600)
    assert path.read_bytes() == b"\xff"


def test_a_file_written_piece_by_piece_takes_its_place_at_the_end_only(tmp_path):
    path = tmp_path / "state"
    write(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["state"]


def test_the_content_reaches_the_medium_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    order: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), real(fd))[1])
    write(tmp_path / "state", b"x", step=order.append, what="s")
    assert order == [
        "s: before writing", "s: written", "fsync", "s: synchronised", "s: renamed", "fsync", "s: done",
    ]  # fmt: skip


def test_a_file_of_another_library_and_a_whole_folder_are_moved_into_place(tmp_path):
    (tmp_path / "beside").write_text("new")
    (tmp_path / "path").write_text("old")
    move_into_place(tmp_path / "beside", tmp_path / "path")
    assert (tmp_path / "path").read_text() == "new"
    (tmp_path / "made").mkdir()
    move_into_place(tmp_path / "made", tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "path"]


def test_no_other_module_replaces_files():
    """One atomic write for the whole project: whoever renames a file over another one uses `edge.util.atomic_file`."""
    pattern = re.compile(
        r"os\.(replace|rename)\(|\b(beside|new|part|tmp|temporary|scratch)\.(replace|rename)\("
    )
    repository = Path(__file__).parents[3]
    for part in ("edge", "dashboard", "provisioning", "training"):
        for path in (repository / part).rglob("*.py"):
            found = pattern.findall(path.read_text(encoding="utf-8"))
            allowed = path.name == "atomic_file.py" or path.match("edge/releases/store/model_store.py")
            assert allowed or not found, path
