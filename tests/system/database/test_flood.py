"""Floods and implausible sequence numbers, against real databases."""

from __future__ import annotations

import queue
import threading
import time

import pytest
from sqlalchemy import func, select

from dashboard.db.engine import connect
from dashboard.db.schema import migrate
from dashboard.db.tables import events, lost
from dashboard.recorder import admission, process
from dashboard.recorder.gaps import REORDER_MS, Gap, GapTracker
from dashboard.recorder.process import Recorder
from dashboard.recorder.writer import Received, Writer
from edge import protocol
from edge.mqtt.events import Message
from tests.support.messages import event_of
from tests.support.waiting import until

BOOT = "7f3a9c01"
NOW = 1_770_000_000_000


class LocalSession:
    """A session without a broker: messages are put in, acknowledgements and commands are counted."""

    def __init__(self):
        self.arrived = queue.SimpleQueue()
        self.connected = threading.Event()
        self.subscribed = threading.Event()
        self.acknowledged = 0
        self.published = []
        self.one_at_a_time = []
        """What is delivered when the message before it was acknowledged, the last one first."""

    def start(self):
        self.connected.set()
        self.subscribed.set()

    def stop(self):
        self.connected.clear()

    def publish(self, topic, payload):
        self.published.append(topic)
        return True

    def put(self, node, message, topic=protocol.EVENT):
        self.arrived.put(self.message(node, message, topic))

    def message(self, node, message, topic=protocol.EVENT):
        payload = message if isinstance(message, bytes) else protocol.encode(message)
        name = protocol.topic("roomtone", node, topic)
        return Message(name, payload, False, acknowledge=self._acknowledge)

    def _acknowledge(self):
        self.acknowledged += 1
        if self.one_at_a_time:
            self.arrived.put(self.one_at_a_time.pop())


@pytest.fixture
def engine(place):
    engine = connect(place)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine, monkeypatch):
    monkeypatch.setattr(admission, "INITIAL_EVENTS", 100)
    monkeypatch.setattr(process, "MAX_HELD_PER_DEVICE", 5)
    made = LocalSession()
    recorder = Recorder(engine, made, "roomtone", keep_days=90)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    made.recorder = recorder
    yield made
    recorder.stop()
    thread.join(30)


def count(engine, table, *where):
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar()


def test_a_flood_is_cut_off_with_one_named_gap_and_others_are_recorded(engine, session):
    for seq in range(1, 2001):
        session.put("kitchen", event_of("happy", NOW / 1000, seq=seq, boot=BOOT))
    session.put("study", event_of("sad", NOW / 1000, seq=1))
    # Only what is held back is not acknowledged, and that is let in as time passes.
    until(lambda: session.acknowledged == 2001, 60)
    stored = count(engine, events)
    assert 100 + 1 + 5 <= stored < 500
    assert session.recorder.refused == 2001 - stored
    with engine.connect() as connection:
        ((boot, first, last),) = connection.execute(select(lost.c.boot, lost.c.from_seq, lost.c.to_seq)).all()
    assert (boot, last) == (BOOT, 2000)
    assert 106 <= first < 200


def test_refused_events_are_not_requested_again(engine, session):
    for seq in range(1, 301):
        session.put("kitchen", event_of("happy", NOW / 1000, seq=seq, boot=BOOT))
    until(lambda: session.acknowledged == 300)
    session.put("kitchen", event_of("happy", NOW / 1000, seq=301, boot=BOOT))
    until(lambda: session.acknowledged == 301)
    requested = []
    tracker = GapTracker(engine, lambda node: True, lambda gap: requested.append(gap) or True)
    for later in (10_000, 20_000, 60_000):
        tracker.check(process.now_ms() + later)
    assert requested == []


@pytest.mark.parametrize("seq", [10**6, 10**9, 10**12])
def test_an_implausible_jump_triggers_no_replay(engine, seq):
    requested = []
    tracker = GapTracker(engine, lambda node: True, lambda gap: requested.append(gap) or True)
    writer = Writer(engine)
    writer.write([Received("kitchen", event_of("happy", NOW / 1000, seq=1, boot=BOOT), NOW)])
    tracker.check(NOW + REORDER_MS)
    for number in (seq, seq + 1):
        writer.write([Received("kitchen", event_of("happy", NOW / 1000, seq=number, boot=BOOT), NOW + 1)])
    for later in (10_000, 20_000, 400_000):
        tracker.check(NOW + later)
    assert requested == []
    assert count(engine, lost) == 0
    # Later gaps of the same boot are found as ever.
    writer.write([Received("kitchen", event_of("happy", NOW / 1000, seq=seq + 4, boot=BOOT), NOW + 400_000)])
    tracker.check(NOW + 500_000)
    assert requested == [Gap("kitchen", BOOT, seq + 2, seq + 3)]


def test_a_device_that_was_running_before_the_hub_is_asked_for_what_it_can_have(engine):
    requested = []
    tracker = GapTracker(engine, lambda node: True, lambda gap: requested.append(gap) or True)
    Writer(engine).write([Received("kitchen", event_of("happy", NOW / 1000, seq=500_000, boot=BOOT), NOW)])
    tracker.check(NOW + 10_000)
    assert requested == [Gap("kitchen", BOOT, 500_000 - admission.INITIAL_EVENTS, 499_999)]


def test_malformed_messages_are_counted_and_not_logged(session, caplog):
    for payload in (b"", b"\xff\xfe", b"{" * 5000, b'{"v":2}', b"[" * 100_000):
        for _ in range(100):
            session.put("kitchen", payload)
    until(lambda: session.acknowledged == 500)
    assert session.recorder.rejected == 500
    assert len(caplog.records) < 10


def test_a_device_whose_availability_was_never_sent_is_asked_for_a_gap(session):
    """Not every broker sends retained messages to a recorder that came later."""
    session.put("study", b"offline", protocol.AVAILABILITY)
    for seq in (1, 3):
        for node in ("kitchen", "study"):
            session.put(node, event_of("happy", NOW / 1000, seq=seq, boot=BOOT))
    until(lambda: session.published, 30)
    assert session.published == ["roomtone/kitchen/cmd/replay"]


def test_a_broker_that_sends_one_message_at_a_time_is_not_kept_waiting_for_more(session, monkeypatch):
    monkeypatch.setattr(process, "BATCH_WINDOW_S", 1.0)
    session.one_at_a_time = [
        session.message("kitchen", event_of("happy", NOW / 1000, seq=seq, boot=BOOT)) for seq in range(1, 21)
    ]
    begin = time.monotonic()
    session.put("kitchen", event_of("happy", NOW / 1000, seq=21, boot=BOOT))
    until(lambda: session.acknowledged == 21, 60)
    assert time.monotonic() - begin < 15
