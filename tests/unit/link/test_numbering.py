"""The public numbers are the link's own: a loss is a gap, a repetition the same id, whoever dies in between."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.ear.uplink.counter import UtteranceCounter
from edge.link.state.numbering import EventNumber, Numbering
from tests.support.log_codes import codes

ONE, OTHER = "1" * 16, "2" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kitchen.numbers"


def assign(numbering: Numbering, n: int, most_missing: int = 1000) -> EventNumber:
    found = numbering.assign(n, most_missing)
    assert found is not None
    return found


def begun(path: Path, session: str = ONE, first: int = 1) -> Numbering:
    numbering = Numbering(path)
    numbering.begin(session, first)
    return numbering


def test_numbers_count_from_one_and_a_repetition_has_the_same(path: Path) -> None:
    numbering = begun(path)
    told = [assign(numbering, n) for n in (1, 2, 3)]
    assert [one.seq for one in told] == [1, 2, 3]
    assert len({one.id for one in told}) == 3
    again = assign(numbering, 2)
    assert (again.id, again.seq, again.repeated) == (told[1].id, 2, True)


def test_what_the_ear_skips_is_a_gap(path: Path) -> None:
    numbering = begun(path)
    assert [assign(numbering, n).seq for n in (1, 4, 5)] == [1, 4, 5]


def test_a_killed_link_goes_on_with_the_same_numbers(path: Path) -> None:
    first = assign(begun(path), 1)
    second = begun(path)
    assert assign(second, 1) == EventNumber(first.id, first.boot, 1, repeated=True)
    assert assign(second, 2).seq == 2
    assert second.last.seq == 2


def test_another_ear_goes_on_in_the_same_boot(path: Path) -> None:
    numbering = begun(path)
    boot = assign(numbering, 1).boot
    assign(numbering, 2)
    numbering.begin(OTHER, 1)
    third = assign(numbering, 1)
    assert (third.boot, third.seq, third.repeated) == (boot, 3, False)


def test_a_lost_file_begins_another_boot_without_a_gap_that_is_none(path: Path) -> None:
    numbering = begun(path)
    before = [assign(numbering, n) for n in (1, 2, 3)][-1]
    path.unlink()
    numbering = begun(path, first=4)
    after = assign(numbering, 4)
    assert after.boot != before.boot
    assert after.seq == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"boot": 1}', b"\xff" * 100])
def test_a_damaged_file_begins_another_boot(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    assert assign(begun(path), 1).seq == 1


def test_no_more_is_skipped_than_time_allows(path: Path) -> None:
    numbering = begun(path)
    assign(numbering, 1)
    assert assign(numbering, 1_000_000, most_missing=2).seq == 4
    assert assign(numbering, 1_000_001, most_missing=0).seq == 5
    assert numbering.assign(500, 2) is None, "it would have the number of another event"


def test_ids_are_in_order_and_say_nothing_that_the_ear_has_chosen(path: Path) -> None:
    numbering = begun(path)
    ids = [assign(numbering, n).id for n in range(1, 40)]
    assert ids == sorted(ids)
    chosen = begun(path, session=OTHER)
    assert assign(chosen, 1).id[:-3] == ids[0][:-3]


def test_an_ear_that_died_with_what_it_had_not_sent_leaves_a_gap(path: Path, tmp_path: Path) -> None:
    """The link was away, too: nothing but the counter's file knows of the three."""
    numbering = begun(path)
    counter = UtteranceCounter(tmp_path / "link.utterances")
    numbering.begin(counter.session, counter.first)
    assign(numbering, counter.next())
    counter.acknowledge(None)
    for _ in range(3):
        counter.next()
    successor = UtteranceCounter(tmp_path / "link.utterances")
    numbering.begin(successor.session, successor.first)
    assert assign(numbering, successor.next()).seq == 5


def test_a_count_that_cannot_be_kept_goes_on_in_memory(tmp_path: Path) -> None:
    counter = UtteranceCounter(tmp_path / "absent" / "link.utterances")
    assert [counter.next() for _ in range(3)] == [1, 2, 3]
    counter.acknowledge(3)
    assert counter.first == 3


def test_numbers_that_are_not_saved_are_said_once_and_again_when_it_fails_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    numbering = begun(folder / "numbers")
    for n in (1, 4):
        assign(numbering, n)
        assign(numbering, n + 1)
        folder.mkdir()
        assign(numbering, n + 2)
        shutil.rmtree(folder)
    assert codes(caplog) == ["numbers_not_saved"] * 2
