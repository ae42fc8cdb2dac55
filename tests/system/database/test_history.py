from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.db.engine import connect
from dashboard.db.history import History, zone_of
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS, events, quarters
from dashboard.live.decode import Incoming
from dashboard.live.registry import RECENT_UTTERANCES, RoomRegistry
from dashboard.recorder.writer import Received, Writer
from edge.protocol import EVENT
from tests.support.messages import event_of

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # A Wednesday.


@pytest.fixture
def record(place):
    engine = connect(place)
    migrate(engine)

    def write(*utterances):
        batch = [
            Received(
                "kitchen", event_of(emotion, at.timestamp(), **changes), round(at.timestamp() * 1000) + 5
            )
            for emotion, at, changes in utterances
        ]
        Writer(engine).write(batch)

    yield write
    engine.dispose()


@pytest.fixture
def history(place, record):
    return History(connect(place, read_only=True))


def at(day, hour, minute=0):
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def test_utterances_come_newest_first_and_page_by_page(history, record):
    record(*(("happy", at(4, 10, minute), {}) for minute in range(30)))
    record(("uncertain", at(4, 11), {"likely": "sad", "confidence": 0.4}))
    first = history.utterances("kitchen", NOON.timestamp() * 1000, 10)
    assert len(first) == 10
    assert (first[0]["emotion"], first[0]["maybe"], first[0]["confidence"]) == ("uncertain", "sad", 0.4)
    rest = history.utterances("kitchen", first[-1]["at"], 100)
    assert len(rest) == 21
    assert not {u["id"] for u in first} & {u["id"] for u in rest}


def test_the_newest_events_of_every_room_come_back_as_they_were(history, record):
    said = [
        (emotion, at(4, 8, minute), {"confidence": 0.7}) for minute, emotion in enumerate(EMOTIONS[:7] * 4)
    ]
    record(("happy", at(2, 9), {}), *said)
    registry = RoomRegistry()
    newest = history.recent_events(["kitchen", "nowhere"], RECENT_UTTERANCES)
    assert len(newest) == 20
    for node, recorded in newest:
        assert registry.apply(Incoming(node, EVENT.leaf, recorded), NOON.timestamp())
    last = registry.rooms["kitchen"].last
    assert (last.event.event_type, last.event.started_at) == ("surprised", "2026-03-04T08:27:00.000Z")
    assert last.event.probabilities.surprised == 0.7


def test_a_room_that_was_never_heard_is_empty_and_a_strange_zone_is_utc(history):
    assert not history.is_recorded("nowhere")
    assert str(zone_of("Mars/Olympus")) == "UTC"
    assert str(zone_of("../../etc/passwd")) == "UTC"


@pytest.mark.parametrize("gone", [events, quarters], ids=lambda table: table.name)
def test_a_room_of_which_only_sums_or_only_events_are_left_is_still_there(history, record, place, gone):
    record(("happy", at(4, 10), {}))
    with connect(place).begin() as connection:
        connection.execute(gone.delete())
    assert history.is_recorded("kitchen")
    assert set(history.recorded_rooms()) == {"kitchen"}


def test_recorded_rooms_have_their_name_and_their_newest_utterance(history, record):
    record(("happy", at(4, 9), {}), ("sad", at(4, 10), {}))
    assert history.recorded_rooms() == {"kitchen": ("", at(4, 10).timestamp() * 1000)}


def test_reading_never_makes_the_file(tmp_path):
    history = History(connect(f"sqlite:///{tmp_path}/none.db", read_only=True))
    with pytest.raises(Exception, match="unable to open"):
        history.is_recorded("kitchen")
    assert not (tmp_path / "none.db").exists()


def test_a_reader_cannot_write(place, record):
    with connect(place, read_only=True).begin() as connection, pytest.raises(Exception, match=r"read-?only"):
        connection.exec_driver_sql("delete from events")
