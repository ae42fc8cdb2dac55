"""The recorder as a process, with a real broker and a real database file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from contextlib import suppress

import msgspec
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.clock import HubClock
from edge import protocol
from edge.protocol import Command, Info
from edge.util.guarded_clock import JUMP_S
from tests.support.broker import Broker, refusing_subscriptions
from tests.support.dashboard import Recorder
from tests.support.messages import event_of
from tests.support.waiting import until


@pytest.fixture
def recorder(mosquitto, tmp_path):
    child = Recorder(mosquitto, tmp_path)
    child.start()
    yield child
    if child.running:
        child.stop(signal.SIGKILL)


def say(rooms, node, seq, **changes):
    message = event_of("happy", time.time(), seq=seq, **changes)
    rooms.client.publish(protocol.topic("roomtone", node, protocol.EVENT), protocol.encode(message), qos=1)
    return message


def test_what_is_said_is_in_the_database_a_moment_later_under_its_name(recorder, rooms):
    recorder.wait_connected()
    rooms.publish("kitchen", protocol.INFO, Info(node="kitchen", name="K\u00fcche\u0000", version="1"))
    message = say(rooms, "kitchen", 1)
    until(lambda: recorder.count() == 1, 15)
    until(lambda: recorder.query("select node, name from rooms") == [("kitchen", "Küche")], 15)
    row = recorder.query("select boot, seq, confidence, duration_ms, model, p_happy from events")[0]
    assert row == (message.boot, 1, 800, 2310, "base-1.2.0", 800)
    assert recorder.stop(signal.SIGTERM) == 0
    assert "Traceback" not in recorder.log


def test_whoever_was_told_ready_may_publish(recorder, rooms):
    for n in range(1, 4):
        say(rooms, "kitchen", n)
    until(lambda: recorder.count() == 3, 15)
    assert recorder.query("select complete_to, asks from boots") in ([(0, 0)], [(3, 0)])


def test_old_events_do_not_make_the_clock_of_a_new_hub_wrong(recorder, rooms):
    recorder.wait_connected()
    week_ago = time.time() - 7 * 86_400
    message = event_of("happy", week_ago, seq=1)
    rooms.client.publish(
        protocol.topic("roomtone", "kitchen", protocol.EVENT), protocol.encode(message), qos=1
    )
    until(lambda: recorder.count() == 1, 15)
    engine = create_engine(f"sqlite:///{recorder.file}")
    try:
        assert HubClock(engine).ahead_s() < JUMP_S
    finally:
        engine.dispose()


def test_killed_again_and_again_under_load_it_loses_and_doubles_nothing(recorder, rooms):
    recorder.wait_connected()
    total = 0
    for _ in range(10):
        for _ in range(150):
            total += 1
            say(rooms, f"room-{total % 7}", total)
            time.sleep(0.001)
        recorder.stop(signal.SIGKILL)
        for _ in range(100):
            total += 1
            say(rooms, f"room-{total % 7}", total)
        recorder.start()
    until(lambda: recorder.count() == total, 30)
    time.sleep(1)
    assert recorder.count() == total
    assert recorder.query("select sum(count) from quarters") == [(total,)]


def test_what_happened_while_it_was_away_is_caught_up(recorder, rooms):
    recorder.wait_connected()
    assert recorder.stop(signal.SIGTERM) == 0
    for n in range(1, 501):
        say(rooms, "kitchen", n)
    recorder.start()
    until(lambda: recorder.count() == 500, 20)


def test_the_broker_killed_and_back_is_only_a_pause(recorder, mosquitto, rooms):
    recorder.wait_connected()
    say(rooms, "kitchen", 1)
    until(lambda: recorder.count() == 1)
    mosquitto.kill()
    until(lambda: {"connection_closed", "connection_reset", "connection_refused"} & set(recorder.codes))
    mosquitto.start()
    until(lambda: recorder.codes.count("connected") == 2, 20)
    rooms.client.reconnect()
    say(rooms, "kitchen", 2)
    until(lambda: recorder.count() == 2)


def test_a_database_that_takes_nothing_for_a_while_costs_no_event(recorder, rooms):
    recorder.wait_connected()
    say(rooms, "kitchen", 1)
    until(lambda: recorder.count() == 1)
    blocker = sqlite3.connect(recorder.file, isolation_level=None)
    blocker.execute("begin exclusive")
    for n in range(2, 30):
        say(rooms, "kitchen", n)
    until(lambda: "database_failed" in recorder.codes, 15)
    blocker.execute("rollback")
    blocker.close()
    until(lambda: recorder.count() == 29, 15)
    assert recorder.codes.count("database_failed") == 1


def test_a_full_disk_is_said_and_costs_no_event(mosquitto, small_disk, tmp_path, rooms):
    recorder = Recorder(mosquitto, tmp_path)
    recorder.file = small_disk / "events.db"
    recorder.words[-1] = f"sqlite:///{recorder.file}"
    recorder.start()
    try:
        recorder.wait_connected()
        say(rooms, "kitchen", 1)
        until(lambda: recorder.count() == 1)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        for n in range(2, 400):
            say(rooms, "kitchen", n)
        until(lambda: "database_failed" in recorder.codes)
        assert recorder.running
        filler.unlink()
        until(lambda: recorder.count() == 399)
        assert "database_recovered" in recorder.codes
    finally:
        recorder.stop(signal.SIGTERM)


def test_a_database_that_restarts_is_a_pause_and_nothing_is_lost(mosquitto, postgres, tmp_path, rooms):
    engine = create_engine(postgres.url, pool_pre_ping=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema public cascade; create schema public")

    def count():
        try:
            with engine.connect() as connection:
                return connection.exec_driver_sql("select count(*), count(distinct id) from events").one()
        except SQLAlchemyError:
            return None

    recorder = Recorder(mosquitto, tmp_path)
    recorder.words[-1] = postgres.url
    recorder.start()
    try:
        recorder.wait_connected()
        for n in range(1, 301):
            say(rooms, "kitchen", n)
            if n in (100, 200):
                postgres.restart()
        until(lambda: count() == (300, 300))
    finally:
        recorder.stop(signal.SIGTERM)
        engine.dispose()
    assert "Traceback" not in recorder.log


def test_a_gap_is_closed_by_the_room_it_came_from(recorder, rooms):
    asked: list[Command] = []

    def repeat(_client, _userdata, message):
        command = msgspec.json.decode(message.payload, type=Command)
        asked.append(command)
        for seq in range(command.from_seq, command.to_seq + 1):
            say(rooms, "kitchen", seq)

    rooms.client.on_message = repeat
    rooms.client.subscribe("roomtone/kitchen/cmd/replay", 1)
    recorder.wait_connected()
    rooms.appear("kitchen", "Kitchen")
    for seq in (1, 2, 6, 7):
        say(rooms, "kitchen", seq)
    until(lambda: recorder.count() == 7, 15)
    assert [(command.from_seq, command.to_seq) for command in asked] == [(3, 5)]
    until(lambda: recorder.query("select complete_to, asks from boots") == [(7, 0)], 10)


def test_two_recorders_share_the_work(recorder, mosquitto, rooms, tmp_path):
    recorder.wait_connected()
    (tmp_path / "second").mkdir()
    where = ("--broker", mosquitto.url, "--name", "2")
    second = Recorder(mosquitto, tmp_path / "second", *where, file=recorder.file)
    second.start()
    try:
        second.wait_connected()
        time.sleep(0.5)
        for n in range(1, 401):
            say(rooms, "kitchen", n)
        until(lambda: recorder.count() == 400, 20)
        recorder.stop(signal.SIGTERM)
        second.stop(signal.SIGTERM)
        written = [int(r.log.rsplit("written ", 1)[1].split(",")[0]) for r in (recorder, second)]
        assert sum(written) == 400
        assert min(written) > 0
    finally:
        if second.running:
            second.kill()


def test_junk_is_refused_and_does_not_stop_it(recorder, rooms):
    recorder.wait_connected()
    for payload in (b"{}", b"\xff", b"[" * 3000, b'{"v":1}'):
        rooms.client.publish("roomtone/kitchen/event", payload, qos=1)
    say(rooms, "kitchen", 1)
    until(lambda: recorder.count() == 1)
    assert recorder.stop(signal.SIGTERM) == 0
    assert "rejected 4" in recorder.coded("stopped")[0]


def test_it_is_ready_only_when_it_records(mosquitto, tmp_path):
    """Without a broker it says that nothing is recorded, and is ready when the broker is there."""
    mosquitto.stop()
    child = Recorder(mosquitto, tmp_path)
    try:
        child.start(wait=False)
        until(lambda: "not_recording" in child.codes, 90)
        assert not child.READY.search(child.log)
        mosquitto.start()
        child.wait_ready(60)
    finally:
        child.kill()


def test_it_is_not_ready_where_it_may_read_all_but_events(tmp_path):
    """A retained message of another topic comes at once, and says nothing of the events."""
    (tmp_path / "conf").mkdir()
    events = "roomtone/+/event"
    refusing = refusing_subscriptions(tmp_path / "conf", events, f"$share/roomtone-recorder/{events}")
    with Broker(refusing, folder=tmp_path / "conf") as broker:
        retained = ["-r", "-q", "1", "-t", "roomtone/kitchen/availability", "-m", "online"]
        subprocess.run(["mosquitto_pub", "-p", str(broker.port), *retained], check=True, timeout=20)
        child = Recorder(broker, tmp_path)
        try:
            child.start(wait=False)
            until(lambda: "not_recording" in child.codes, 90, what=lambda: child.log)
            assert not child.READY.search(child.log)
        finally:
            child.kill()
