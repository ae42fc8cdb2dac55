"""The counter of utterances outlives the ear; where its file is damaged, another session begins at 1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.ear.uplink.counter import UtteranceCounter
from tests.support.log_codes import codes


def test_it_outlives_the_process(tmp_path: Path) -> None:
    first = UtteranceCounter(tmp_path / "count")
    assert [first.next(), first.next()] == [1, 2]
    again = UtteranceCounter(tmp_path / "count")
    assert (again.session, again.next()) == (first.session, 3)


@pytest.mark.parametrize("damage", [b"", b"{", b"[" * 1000, bytes(range(256)), b'{"n": "x"}'])
def test_a_damaged_file_begins_another_session(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    first = UtteranceCounter(tmp_path / "count")
    first.next()
    (tmp_path / "count").write_bytes(damage)
    again = UtteranceCounter(tmp_path / "count")
    assert codes(caplog) == ["count_damaged"]
    assert again.session != first.session
    assert again.next() == 1


def test_a_count_that_is_not_saved_is_said_once_and_again_when_it_fails_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    counter = UtteranceCounter(folder / "count")
    for _ in range(2):
        counter.next()
        counter.next()
        folder.mkdir()
        counter.next()
        shutil.rmtree(folder)
    assert codes(caplog) == ["count_not_saved"] * 2
