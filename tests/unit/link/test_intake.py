"""The socket of the ear: what is let through, how fast, and for whom."""

import array
import asyncio
import contextlib
import os
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.link.ipc import intake
from edge.link.ipc.intake import Intake
from edge.link.ipc.listener import listen
from edge.protocol import (
    Ack,
    InfoReport,
    LevelSignal,
    MicSignal,
    UtteranceReport,
    encode,
)
from edge.util.errors import UserError
from tests.support.messages import EAR_INFO, utterance


class Notes:
    """Writes down what the intake tells."""

    def __init__(self, loop):
        self._loop = loop
        self.said = []
        self.times = []
        self.connections = 0
        self.gone = 0

    def on_ear_connected(self):
        self.connections += 1

    def on_ear_disconnected(self):
        self.gone += 1

    def on_ear_message(self, message):
        self.said.append(message)
        self.times.append(self._loop.time())


class Running:
    """An intake on a real socket; `serve` gives it a slice of time."""

    def __init__(self, path):
        self.path = path
        self.loop = asyncio.new_event_loop()
        self.listener = listen(path)
        self.notes = Notes(self.loop)
        self.intake = Intake(self.listener.socket, self.notes, self.loop)

    def connect(self):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.connect(str(self.path))
        return channel

    def serve(self, seconds=0.05):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def close(self):
        self.intake.close()
        self.listener.close()
        self.loop.close()


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path / "s")
    yield made
    made.close()


def test_what_fits_the_contract_is_passed_on_and_nothing_else(running):
    with running.connect() as ear:
        for data in (
            encode(InfoReport(EAR_INFO, "0" * 16, 1)),
            b"",
            b"\x00" * 900,
            b'{"t":"audio","pcm":"AAAA"}',
            encode(utterance(1)) + b" " * 1000,
            encode(utterance(1)).replace(b'"n":1', b'"n":1,"pcm":"AAAA"'),
            encode(MicSignal("ok")),
        ):
            ear.send(data)
        running.serve()
    assert running.notes.said == [InfoReport(EAR_INFO, "0" * 16, 1), MicSignal("ok")]
    assert running.intake.rejected == 5


def test_the_largest_message_passes_and_one_byte_more_does_not(running):
    message = encode(utterance(1))
    with running.connect() as ear:
        ear.send(message + b" " * (1024 - len(message)))
        ear.send(message + b" " * (1025 - len(message)))
        running.serve()
    assert (len(running.notes.said), running.intake.rejected) == (1, 1)


def test_a_file_descriptor_cannot_be_passed(running):
    read, write = os.pipe()
    with running.connect() as ear:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))]
        ear.sendmsg([encode(MicSignal("ok"))], rights)
        running.serve()
    os.close(write)
    # Had the link taken it, the pipe would still have a writer and this would wait for ever.
    assert os.read(read, 1) == b""
    os.close(read)
    assert (running.notes.said, running.intake.rejected) == ([], 1)


def test_reports_are_slowed_down_to_two_a_second_after_ten_and_none_is_lost(running):
    with running.connect() as ear:
        for seq in range(1, 15):
            ear.send(encode(utterance(seq)))
        running.serve(0.2)
        assert len(running.notes.said) == 10
        running.serve(2.3)
    assert [m.n for m in running.notes.said] == list(range(1, 15))
    gaps = [b - a for a, b in zip(running.notes.times[10:], running.notes.times[11:], strict=False)]
    assert all(0.4 < gap < 0.7 for gap in gaps)


def test_utterances_are_slowed_down_in_the_long_run_and_none_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "UTTERANCES_BURST", 3)
    running = Running(tmp_path / "s")
    with running.connect() as ear:
        for seq in range(1, 6):
            ear.send(encode(utterance(seq)))
        running.serve(0.5)
        assert [m.n for m in running.notes.said] == [1, 2, 3]
        running.serve(4.0)
    assert [m.n for m in running.notes.said] == [1, 2, 3, 4, 5]
    running.close()


def test_signals_are_slowed_down_to_four_a_second_after_eight(running):
    with running.connect() as ear:
        for number in range(12):
            ear.send(encode(LevelSignal(dbfs=-number, speech=False)))
        running.serve(0.2)
        assert len(running.notes.said) == 8
        running.serve(1.2)
    assert [m.dbfs for m in running.notes.said] == [-n for n in range(12)]


def test_rubbish_is_slowed_down_too(running):
    with running.connect() as ear:
        for _ in range(14):
            ear.send(b"rubbish")
        running.serve(0.2)
        assert running.intake.rejected <= 11


def test_an_ear_that_is_held_back_has_to_wait_in_its_send(running):
    with running.connect() as ear:
        ear.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(100_000):
                ear.send(encode(utterance(1)))
                running.loop.run_until_complete(asyncio.sleep(0))


def test_what_an_ear_said_before_it_died_is_heard_before_the_next_ear(running):
    first = running.connect()
    for seq in range(1, 13):
        first.send(encode(utterance(seq)))
    running.serve()
    first.close()
    with running.connect() as second:
        second.send(encode(MicSignal("ok")))
        running.serve(0.1)
        assert MicSignal("ok") not in running.notes.said
        running.serve(1.5)
        assert [type(m) for m in running.notes.said] == [UtteranceReport] * 12 + [MicSignal]
        assert (running.notes.connections, running.notes.gone) == (2, 1)


def test_a_second_ear_is_refused_while_the_first_lives(running):
    with running.connect() as first, running.connect() as second:
        running.serve()
        assert second.recv(100) == b""
        assert running.intake.send(Ack(1))
        assert first.recv(256) == encode(Ack(1))


def test_connections_are_slowed_down_and_the_last_one_is_served(running):
    """Each is logged on the disk, and costs no message that would be counted."""
    begin = time.monotonic()
    for _ in range(200):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ear:
            ear.setblocking(False)
            # The queue of the listener is full.
            with contextlib.suppress(BlockingIOError):
                ear.connect(str(running.path))
        running.serve(0.005)
    took = time.monotonic() - begin
    assert running.notes.connections <= intake.CONNECTIONS_BURST + took * intake.CONNECTIONS_PER_SECOND + 1
    while running.notes.connections > running.notes.gone or running.intake.connected:
        running.serve()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as ear:
        ear.setblocking(False)
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(BlockingIOError):
                ear.connect(str(running.path))
                break
            running.serve()
            assert time.monotonic() < end
        ear.send(encode(MicSignal("ok")))
        while MicSignal("ok") not in running.notes.said:
            running.serve()
            assert time.monotonic() < end


def test_an_ear_that_never_reads_is_let_go_and_the_link_stays_small(running):
    with running.connect():
        running.serve()
        sent = 0
        while running.intake.send(Ack(1)):
            sent += 1
            assert sent < 100_000
        assert running.notes.gone == 1


def test_without_an_ear_nothing_can_be_sent(running):
    assert not running.intake.send(Ack(1))


@given(st.lists(st.binary(max_size=1400), max_size=9))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_passed_or_rejected_and_the_intake_lives(tmp_path_factory, messages):
    running = Running(tmp_path_factory.mktemp("s") / "s")
    try:
        with running.connect() as ear:
            for data in messages:
                ear.send(data)
            running.serve(0)
            running.serve(0.001)
            deadline = time.monotonic() + 5
            while len(running.notes.said) + running.intake.rejected < len(messages):
                running.serve(0.001)
                assert time.monotonic() < deadline
        assert running.notes.said == []
        assert running.intake.connected
    finally:
        running.close()


def test_a_directory_that_is_missing_and_a_file_in_the_way_are_said(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        listen(tmp_path / "absent" / "s")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="not a socket"):
        listen(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_socket_that_somebody_listens_on_is_not_taken_away(tmp_path):
    first = listen(tmp_path / "s")
    with pytest.raises(UserError, match="another program listens there"):
        listen(tmp_path / "s")
    first.close()
    assert not (tmp_path / "s").exists()
