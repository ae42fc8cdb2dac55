"""Writing, summing up, finding gaps: on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.event import listen

from dashboard.db import retention
from dashboard.db.engine import DatabaseError, connect
from dashboard.db.schema import migrate
from dashboard.db.tables import (
    boots,
    clock,
    events,
    lost,
    metadata,
    quarters,
    rooms,
    users,
)
from dashboard.recorder.gaps import REORDER_MS, REPLAY_TIMEOUTS_MS, Gap, GapTracker
from dashboard.recorder.writer import Received, Writer
from tests.support.messages import event_of

NOW = 1_770_000_000_000


@pytest.fixture
def engine(place):
    engine = connect(place)
    migrate(engine)
    with engine.begin() as connection:
        # The events of these tests are old: without it the guarded clock would begin with them.
        connection.execute(clock.insert().values(id=1, guarded=round(time.time() * 1000)))
    yield engine
    engine.dispose()


def said(seq, emotion="happy", at=NOW, node="kitchen", received=None, **changes):
    message = event_of(emotion, at / 1000, seq=seq, **changes)
    return Received(node, message, NOW if received is None else received)


def count(engine, table):
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_the_migrations_make_the_tables_that_the_code_uses_and_can_be_undone(engine):
    for table in metadata.sorted_tables:
        columns = {column["name"]: column for column in inspect(engine).get_columns(table.name)}
        assert set(columns) == set(table.columns.keys())
        for column in table.columns:
            if engine.dialect.name == "sqlite":  # PostgreSQL calls them otherwise.
                assert str(columns[column.name]["type"]) == str(column.type), column
            assert columns[column.name]["nullable"] == column.nullable
        indexes = {index["name"] for index in inspect(engine).get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= indexes
    Writer(engine).write([said(1)])
    migrate(engine)
    assert count(engine, events) == 1
    migrate(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert count(engine, events) == 0


def test_when_rooms_were_last_heard_is_one_query_however_many_they_are(engine):
    writer = Writer(engine)
    writer.write([said(1, received=NOW - 5000), said(2, received=NOW - 1000)])
    writer.write(
        [said(1, received=NOW, boot="b0070000000000000002"), said(3, received=NOW - 3000, node="hall")]
    )
    many = [f"room{n}" for n in range(2500)]
    writer.write([said(1, node=node) for node in many])
    statements = []
    listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    found = writer.last_received(["kitchen", "hall", "never", *many])
    assert found == {"kitchen": NOW / 1000, "hall": (NOW - 3000) / 1000, **dict.fromkeys(many, NOW / 1000)}
    assert len(statements) == 3


def test_the_tables_of_the_hub_come_and_go_and_what_was_recorded_stays(engine):
    Writer(engine).write([said(n) for n in range(1, 500)])
    with engine.begin() as connection:
        connection.execute(users.insert().values(name="ann", password="x", role="viewer", created=NOW))
    migrate(engine, "0001")
    assert not inspect(engine).has_table("users")
    assert count(engine, events) == 499
    migrate(engine)
    assert (count(engine, users), count(engine, events)) == (0, 499)


def test_two_programs_that_start_in_the_same_moment_prepare_the_database_once(place):
    engines = [connect(place) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, engines))
    assert count(engines[0], users) == 0
    for engine in engines:
        engine.dispose()


def test_a_database_that_another_program_holds_is_waited_for(tmp_path):
    file = tmp_path / "a.db"
    # As a recorder in the moment of its first start: SQLite refuses the write-ahead log at once.
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    end = threading.Timer(1.0, holder.execute, ["ROLLBACK"])
    end.start()
    engine = connect(f"sqlite:///{file}")
    migrate(engine)
    assert count(engine, users) == 0
    end.join()
    holder.close()
    engine.dispose()


def test_an_event_is_written_once_in_whatever_batches_it_comes(engine):
    batch = [said(n) for n in range(1, 6)]
    writer = Writer(engine)
    assert writer.write(batch[:3] + batch[1:2]) == 3
    assert writer.write(batch) == 2
    assert Writer(engine).write(batch) == 0
    assert count(engine, events) == 5
    with engine.connect() as connection:
        assert connection.execute(select(func.sum(quarters.c.count))).scalar() == 5


def test_a_large_batch_of_many_rooms_is_written_at_once(engine):
    batch = [said(n, node=f"room-{n % 300}") for n in range(1, 3001)]
    assert Writer(engine).write(batch) == 3000
    assert count(engine, rooms) == 300


def test_the_sums_of_a_quarter_of_an_hour_are_those_of_its_events(engine):
    start = NOW // 900_000 * 900_000
    Writer(engine).write(
        [said(1, at=start - 1), said(2, at=start - 900_000, confidence=0.6), said(3, "sad", at=start)]
    )
    Writer(engine).write([said(4, at=start - 2, confidence=0.5)])
    with engine.connect() as connection:
        rows = connection.execute(select(quarters).order_by(quarters.c.quarter, quarters.c.emotion)).all()
    assert [(r.quarter - start // 900_000, r.emotion, r.count, r.confidence) for r in rows] == [
        (-1, 1, 3, 800 + 600 + 500),
        (0, 2, 1, 800),
    ]


def test_a_clock_that_runs_ahead_does_not_write_into_the_future(engine):
    Writer(engine).write([said(1, at=NOW + 86_400_000), said(2, started_at="2026-02-30T10:00:00.000Z")])
    with engine.connect() as connection:
        assert set(connection.execute(select(events.c.at)).scalars()) == {NOW}


def test_a_failed_batch_leaves_nothing_and_the_next_one_works(engine):
    writer = Writer(engine)
    writer.write([said(1)])
    retention.erase_room(engine, "kitchen")
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        writer.write([said(2)])
    assert count(engine, quarters) == 0
    assert writer.write([said(3)]) == 1


def test_old_events_are_forgotten_and_their_sums_stay(engine):
    Writer(engine).write([said(1, at=NOW - 100 * 86_400_000), said(2)])
    assert retention.expire(engine, NOW - 90 * 86_400_000) == 1
    assert count(engine, events) == 1
    assert count(engine, quarters) == 2


def test_erasing_a_room_leaves_nothing_of_it_and_all_of_the_others(engine):
    Writer(engine).write([said(1), said(1, node="study")])
    assert retention.erase_room(engine, "kitchen")
    assert not retention.erase_room(engine, "kitchen")
    for table in (rooms, events, quarters, boots):
        assert count(engine, table) == 1


class Asked(list):
    def __init__(self, engine, there=True):
        self.there = there
        self.gaps = GapTracker(engine, lambda node: self.there, lambda gap: self.append(gap) or True)


def test_a_gap_is_asked_for_once_it_has_settled_and_forgotten_when_it_closes(engine):
    writer = Writer(engine)
    asked = Asked(engine)
    writer.write([said(n) for n in (1, 2, 5)])
    assert asked.gaps.check(NOW + 10) == []
    assert asked.gaps.check(NOW + REORDER_MS) == [Gap("kitchen", "7f3a9c01", 3, 4)]
    assert asked.gaps.check(NOW + REORDER_MS + 1000) == []
    writer.write([said(3, received=NOW + 4000), said(4, received=NOW + 4000)])
    for later in (5_000, 20_000, 500_000):
        assert asked.gaps.check(NOW + later) == []
    assert count(engine, lost) == 0


def test_a_room_that_is_away_is_asked_when_it_is_back(engine):
    asked = Asked(engine, there=False)
    Writer(engine).write([said(2)])
    for later in (REORDER_MS, 3_600_000):
        assert asked.gaps.check(NOW + later) == []
    asked.there = True
    assert asked.gaps.check(NOW + 3_700_000) == [Gap("kitchen", "7f3a9c01", 1, 1)]


def test_what_never_comes_is_lost_after_the_last_request_and_the_next_gap_has_its_own(engine):
    asked = Asked(engine)
    Writer(engine).write([said(n) for n in (1, 4, 5, 9)])
    now = NOW + REORDER_MS
    for patience in REPLAY_TIMEOUTS_MS:
        assert asked.gaps.check(now) == [Gap("kitchen", "7f3a9c01", 2, 3)]
        assert asked.gaps.check(now + patience - 1) == []
        now += patience
    assert asked.gaps.check(now) == [Gap("kitchen", "7f3a9c01", 6, 8)]
    with engine.connect() as connection:
        assert connection.execute(select(lost.c.from_seq, lost.c.to_seq)).all() == [(2, 3)]


def test_two_recorders_on_one_database_ask_once(engine):
    first, second = Asked(engine), Asked(engine)
    Writer(engine).write([said(3)])
    first.gaps.check(NOW + REORDER_MS)
    second.gaps.check(NOW + REORDER_MS)
    assert len(first) + len(second) == 1


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "mysql+nothing://x", "sqlite:////no/such/folder/a.db"]
)
def test_a_wrong_database_is_refused_with_the_remedy(url):
    with pytest.raises(DatabaseError, match="--database"):
        migrate(connect(url))


def test_two_recorders_that_get_the_same_events_in_another_order_store_each_once(engine):
    """As at a broker without shared subscriptions; neither waits for the other for ever."""
    batches = [
        [said(seq, node=f"room-{seq % 20}", at=NOW + seq) for seq in range(1 + 500 * n, 501 + 500 * n)]
        for n in range(6)
    ]
    barrier = threading.Barrier(2)

    def record(order):
        writer = Writer(engine)
        stored = 0
        for batch in batches:
            barrier.wait(60)
            stored += writer.write(batch[::order])
        return stored

    with ThreadPoolExecutor(2) as pool:
        stored = list(pool.map(record, (1, -1)))
    assert sum(stored) == count(engine, events) == 3000
    with engine.connect() as connection:
        assert connection.execute(select(func.sum(quarters.c.count))).scalar() == 3000
