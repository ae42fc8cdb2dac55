"""Files that appear as a whole, with their rights from the first byte."""

import os

import pytest

from edge.util.atomic_file import update, write


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
