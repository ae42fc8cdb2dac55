from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.db.engine import connect
from dashboard.db.history import History, zone_of
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS
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


def counts(**named):
    return [named.get(emotion, 0) for emotion in EMOTIONS]


def test_the_day_begins_at_the_readers_midnight(history, record):
    record(("happy", at(3, 18), {}), ("sad", at(3, 19), {}), ("angry", at(4, 11), {}))
    for zone, marks in (("UTC", 1), ("Asia/Kathmandu", 2), ("America/New_York", 1), ("Pacific/Auckland", 1)):
        view = history.charts("kitchen", zone_of(zone), NOON)
        assert len(view["marks"]) == marks, zone
    view = history.charts("kitchen", zone_of("Asia/Kathmandu"), NOON)
    assert view["today"] == at(3, 18, 15).timestamp() * 1000  # UTC+5:45
    assert [mark[1] for mark in view["marks"]] == [EMOTIONS.index("sad"), EMOTIONS.index("angry")]


def test_hours_days_and_week_are_summed_in_the_readers_zone(history, record):
    record(
        ("happy", at(4, 9, 10), {}),
        ("happy", at(4, 9, 50), {}),
        ("sad", at(4, 10, 5), {}),
        ("sad", at(2, 23, 30), {}),
    )
    utc = history.charts("kitchen", zone_of("UTC"), NOON)
    assert utc["hours"] == [
        {"at": at(4, 9).timestamp() * 1000, "counts": counts(happy=2)},
        {"at": at(4, 10).timestamp() * 1000, "counts": counts(sad=1)},
    ]
    assert [day["counts"] for day in utc["days"]] == [counts(sad=1), counts(happy=2, sad=1)]
    assert {cell["at"]: cell["counts"] for cell in utc["week"]} == {
        0 * 24 + 23: counts(sad=1),
        2 * 24 + 9: counts(happy=2),
        2 * 24 + 10: counts(sad=1),
    }
    india = history.charts("kitchen", zone_of("Asia/Kolkata"), NOON)  # UTC+5:30
    assert [hour["counts"] for hour in india["hours"]] == [counts(happy=1), counts(happy=1, sad=1)]
    assert india["week"][0]["at"] == 1 * 24 + 5


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
    newest = history.recent_events(round(at(3, 12).timestamp() * 1000), RECENT_UTTERANCES)
    assert len(newest) == 20
    for node, recorded in newest:
        assert registry.apply(Incoming(node, EVENT.leaf, recorded), NOON.timestamp())
    last = registry.rooms["kitchen"].last
    assert (last.event.event_type, last.event.started_at) == ("surprised", "2026-03-04T08:27:00.000Z")
    assert last.event.probabilities.surprised == 0.7


def test_a_room_that_was_never_heard_is_empty_and_a_strange_zone_is_utc(history):
    assert history.room_name("nowhere") is None
    assert history.charts("nowhere", zone_of("../../etc/passwd"), NOON)["total"] == 0
    assert str(zone_of("Mars/Olympus")) == "UTC"


def test_reading_never_makes_the_file(tmp_path):
    history = History(connect(f"sqlite:///{tmp_path}/none.db", read_only=True))
    with pytest.raises(Exception, match="unable to open"):
        history.room_name("kitchen")
    assert not (tmp_path / "none.db").exists()


def test_a_reader_cannot_write(place, record):
    with connect(place, read_only=True).begin() as connection, pytest.raises(Exception, match=r"read-?only"):
        connection.exec_driver_sql("delete from events")
