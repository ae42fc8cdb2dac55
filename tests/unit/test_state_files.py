"""Every state file of a device survives garbage: it starts, says so in one line, and loses that file's content only."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.util.errors import UserError
from tests.support.damage import DAMAGES, random_bytes
from tests.support.state_files import STATE_FILES, WRITERS, StateFile, writers


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", STATE_FILES, ids=lambda file: file.name)
def test_a_damaged_state_file_is_lost_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: StateFile, damage: Callable[[Path], None]
) -> None:
    fresh = file.start(tmp_path)
    assert file.start(tmp_path) != fresh
    damage(tmp_path / file.path)
    caplog.clear()
    found = file.start(tmp_path)
    said = complaints(caplog)
    if found == fresh:
        assert len(said) == 1, said
    # Understood all the same, such as half of a number, or what another file knows as well.
    assert len(said) <= 1, said
    assert all(str(tmp_path / file.path) in line and "\n" not in line for line in said)
    caplog.clear()
    assert file.start(tmp_path) != fresh
    assert complaints(caplog) == []


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("file", STATE_FILES, ids=lambda file: file.name)
def test_the_other_files_are_kept(tmp_path: Path, file: StateFile) -> None:
    others = [
        other
        for other in STATE_FILES
        if other != file and {other.name, file.name} != {"floor", "model store"}
    ]
    fresh = {other.name: other.start(tmp_path) for other in others}
    file.start(tmp_path)
    random_bytes(tmp_path / file.path)
    file.start(tmp_path)
    assert not [other.name for other in others if other.start(tmp_path) == fresh[other.name]]


@pytest.mark.parametrize("mode", [0, 0o444], ids=["unreadable", "readable"])
@pytest.mark.parametrize("file", STATE_FILES, ids=lambda file: file.name)
def test_a_state_file_of_another_user_is_lost_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: StateFile, mode: int
) -> None:
    """As after a program was run once with sudo: the file cannot be read, in a folder that belongs to this user."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    others = [
        other
        for other in STATE_FILES
        if other != file and {other.name, file.name} != {"floor", "model store"}
    ]
    fresh = {other.name: other.start(tmp_path) for other in STATE_FILES}
    (tmp_path / file.path).chmod(mode)
    caplog.clear()
    file.start(tmp_path)
    said = complaints(caplog)
    # What can be read is not lost, as long as another file can take its place.
    assert len(said) == 1 or (mode and not said), said
    assert all(str(tmp_path / file.path) in line for line in said)
    assert not [other.name for other in others if other.start(tmp_path) == fresh[other.name]]
    if mode and said:
        assert "file_of_another_user" in said[0]
    # Its folder belongs to this user, so another file takes its place.
    caplog.clear()
    file.start(tmp_path)
    assert complaints(caplog) == []
    assert file.start(tmp_path) != fresh[file.name]


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow: each write fails as on a full disk, with EFBIG in place of ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


OWN_TESTS = ("spool", "journal")
"""On a full disk: tests/system/link/test_spool_on_a_full_disk.py, test_full_disk.py."""


@pytest.mark.parametrize(
    "file", [file for file in STATE_FILES if file.name not in OWN_TESTS], ids=lambda file: file.name
)
def test_a_full_disk_is_said_once_and_everything_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: StateFile
) -> None:
    fresh = file.start(tmp_path)
    caplog.clear()
    with full_disk():
        if file.name in ("model store", "floor"):
            with pytest.raises((UserError, OSError)):
                file.start(tmp_path)
        else:
            file.start(tmp_path)
    # A file whose content stays the same is not written.
    assert len(complaints(caplog)) <= 1, complaints(caplog)
    caplog.clear()
    assert file.start(tmp_path) != fresh, "what was there before is kept"
    assert complaints(caplog) == []


@pytest.mark.parametrize("file", STATE_FILES, ids=lambda file: file.name)
def test_a_folder_in_the_place_of_a_state_file_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: StateFile
) -> None:
    """It is put aside, or everything works without being saved; only the model store refuses to install anything."""
    (tmp_path / file.path).mkdir()
    (tmp_path / file.path / "x").touch()
    if file.name in ("model store", "floor"):
        with pytest.raises(UserError, match=file.path):
            file.start(tmp_path)
    else:
        file.start(tmp_path)
        assert [line for line in complaints(caplog) if str(tmp_path / file.path) in line]


def test_every_module_of_the_device_that_writes_files_is_listed() -> None:
    assert writers() == set(WRITERS)


def test_every_state_file_of_the_list_is_tested() -> None:
    listed = {name for names in WRITERS.values() for name in names.split(", ")}
    assert {file.name for file in STATE_FILES} <= listed
