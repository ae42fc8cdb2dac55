"""Sums of a period on a linear time axis, filters, and what is usual, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dashboard.db.engine import connect
from dashboard.db.history import History, zone_of
from dashboard.db.periods import MAX_BUCKETS, EventFilter, Periods, bucket_edges
from dashboard.db.records import Records
from dashboard.db.schema import migrate
from dashboard.db.tables import EMOTIONS
from dashboard.recorder.writer import Received, Writer
from tests.support.messages import event_of

DAY = datetime(2026, 3, 4, tzinfo=UTC)  # A Wednesday.


@pytest.fixture
def record(place):
    engine = connect(place)
    migrate(engine)

    def write(*utterances, node="kitchen"):
        batch = [
            Received(node, event_of(emotion, at.timestamp(), **changes), round(at.timestamp() * 1000) + 5)
            for emotion, at, changes in utterances
        ]
        Writer(engine).write(batch)

    yield write
    engine.dispose()


@pytest.fixture
def periods(place, record):
    return Periods(connect(place, read_only=True))


def at(hour, minute=0, day=4):
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def counts(**named):
    return [named.get(emotion, 0) for emotion in EMOTIONS]


def span_of(day, days=1, zone="UTC"):
    begin = day.replace(tzinfo=zone_of(zone))
    return begin, begin + timedelta(days=days)


def test_every_hour_of_a_day_has_its_place_the_empty_ones_too(periods, record):
    record(("happy", at(9, 10), {}), ("happy", at(9, 50), {}), ("sad", at(11, 5), {}))
    found = periods.period("kitchen", span_of(DAY), "hour")
    assert [bucket["at"] for bucket in found["buckets"]] == [
        round((DAY + timedelta(hours=n)).timestamp() * 1000) for n in range(24)
    ]
    heard = {n: b["counts"] for n, b in enumerate(found["buckets"]) if sum(b["counts"])}
    assert heard == {9: counts(happy=2), 11: counts(sad=1)}
    assert (found["total"], found["first"]) == (3, at(9).timestamp() * 1000)


def test_days_are_those_of_the_readers_zone(periods, record):
    record(("happy", at(18, day=3), {}), ("sad", at(19, day=3), {}), ("angry", at(11), {}))
    for zone, expected in (("UTC", 1), ("Asia/Kathmandu", 2), ("America/New_York", 1)):
        found = periods.period("kitchen", span_of(DAY, zone=zone), "hour", marks=True)
        assert (found["total"], len(found["marks"])) == (expected, expected), zone


def test_a_day_in_which_the_clock_changes_has_its_own_length(periods):
    begin = datetime(2026, 3, 29, tzinfo=zone_of("Europe/Madrid"))
    assert len(bucket_edges(begin, begin + timedelta(days=1), "hour")) == 24
    week = bucket_edges(begin, begin + timedelta(days=7), "day")
    assert [(b - a) / 3_600_000 for a, b in pairwise(week)] == [23, *[24] * 6]


def test_filters_choose_by_emotion_confidence_and_arousal(place, periods, record):
    record(
        ("happy", at(9), {"confidence": 0.9, "arousal": 0.6}),
        ("happy", at(9, 1), {"confidence": 0.5, "arousal": 0.1}),
        ("angry", at(9, 2), {"confidence": 0.8, "arousal": -0.5}),
        ("angry", at(9, 3), {"confidence": 0.8}),
    )
    history, records = (kind(connect(place, read_only=True)) for kind in (History, Records))
    day = [round(when.timestamp() * 1000) for when in span_of(DAY)]
    for wanted, minutes in (
        (EventFilter(), [0, 1, 2, 3]),
        (EventFilter(emotions=(EMOTIONS.index("angry"),)), [2, 3]),
        (EventFilter(confidence=800), [0, 2, 3]),
        (EventFilter(arousal_from=250), [0]),
        (EventFilter(arousal_to=250, arousal_from=-250), [1]),
        (EventFilter(arousal_to=-250), [2]),
        (EventFilter(emotions=(EMOTIONS.index("happy"),), confidence=600), [0]),
    ):
        found = periods.period("kitchen", span_of(DAY), "hour", wanted=wanted, marks=True)
        expected = [round(at(9, minute).timestamp() * 1000) for minute in minutes]
        assert [mark[0] for mark in found["marks"]] == expected, wanted
        assert found["total"] == len(minutes)
        listed = history.utterances("kitchen", day[1], from_ms=day[0], wanted=wanted)
        assert [u["at"] for u in reversed(listed)] == expected
        # What is exported is what is seen.
        lines = "".join(records.csv("kitchen", *day, wanted=wanted)).splitlines()
        assert len(lines) == 1 + len(minutes)


def test_arousal_is_the_mean_of_the_utterances_that_have_one(periods, record):
    record(("happy", at(9), {"arousal": 0.6}), ("sad", at(9, 30), {"arousal": -0.2}), ("sad", at(10), {}))
    buckets = periods.period("kitchen", span_of(DAY), "hour")["buckets"]
    assert [buckets[n]["arousal"] for n in (8, 9, 10)] == [None, 0.2, None]


def test_what_is_usual_comes_from_the_days_before(periods, record):
    record(("angry", at(9), {}))
    assert periods.period("kitchen", span_of(DAY), "hour")["usual"] is None
    for day in (1, 2, 3):
        record(*(("happy" if n else "sad", at(9, n, day), {}) for n in range(4)))
    usual = periods.period("kitchen", span_of(DAY), "hour")["usual"]
    assert (usual["days"], usual["per_day"]) == (3, 4.0)
    assert usual["shares"][EMOTIONS.index("happy")] == 0.75
    assert usual["shares"][EMOTIONS.index("angry")] == 0


def test_all_rooms_come_with_their_own_sums(periods, record):
    record(("happy", at(9), {"arousal": 0.5}))
    record(("sad", at(9, 20), {}), node="study")
    record(("sad", at(9, 20, day=3), {}), node="attic")
    found = periods.all_rooms(*span_of(DAY), "quarter")
    assert sorted(found) == ["kitchen", "study"]
    assert found["kitchen"][36] == {"at": at(9).timestamp() * 1000, "counts": counts(happy=1), "arousal": 0.5}
    assert found["study"][37]["counts"] == counts(sad=1)


@pytest.mark.parametrize(
    ("days", "step"), [(0, "hour"), (-1, "day"), (60, "hour"), (12, "quarter"), (9999, "day")]
)
def test_a_period_without_end_or_with_too_many_steps_is_refused(periods, days, step):
    with pytest.raises(ValueError, match=f"empty|{MAX_BUCKETS}"):
        periods.period("kitchen", (DAY, DAY + timedelta(days=days)), step)
