import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import protocol as contract
from edge.ear.uplink.client import Uplink
from edge.protocol import (
    Ack,
    EarCommand,
    EarHealth,
    EarMessage,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    Mute,
    SpeechSignal,
    UtteranceReport,
)
from tests.support.ear import Link
from tests.support.log_codes import codes
from tests.support.messages import EAR_INFO, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "link.sock"


@pytest.fixture
def link(path: Path) -> Iterator[Link]:
    link = Link(path)
    yield link
    link.close()


@pytest.fixture
def orders() -> list[EarCommand]:
    return []


@pytest.fixture
def uplink(path: Path, orders: list[EarCommand]) -> Iterator[Uplink]:
    uplink = Uplink(str(path), EAR_INFO, lambda: LevelSignal(dbfs=-31, speech=True), orders.append)
    yield uplink
    uplink.stop()


def seqs(messages: list[EarMessage]) -> list[int]:
    return [message.n for message in messages if isinstance(message, UtteranceReport)]


def test_first_comes_the_model_then_the_microphone_then_the_events(link: Link, uplink: Uplink) -> None:
    uplink.publish(values())
    uplink.set_mic("ok")
    uplink.start()
    link.accept()
    first = link.receive()
    assert isinstance(first, InfoReport)
    assert (first.info, first.first) == (EAR_INFO, 1)
    assert link.receive() == MicSignal("ok")
    assert link.receive() == SpeechSignal(False)
    assert seqs([link.receive()]) == [1]


def test_the_beginning_and_the_end_of_speech_are_sent_once_each(link: Link, uplink: Uplink) -> None:
    uplink.start()
    link.accept()
    link.receive_all(0.5)
    for speaking in (True, True, False, False):
        uplink.set_speaking(speaking)
        time.sleep(0.1)
    assert link.receive_all(1.0) == [SpeechSignal(True), SpeechSignal(False)]
    uplink.set_speaking(True)
    link.receive()
    link.hang_up()
    link.accept()
    assert SpeechSignal(True) in link.receive_all(1.0)


def test_an_event_goes_again_on_the_next_connection_until_it_is_acknowledged(
    link: Link, uplink: Uplink
) -> None:
    uplink.start()
    link.accept()
    for _ in range(2):
        uplink.publish(values())
    assert seqs(link.receive_all(1.0)) == [1, 2]
    link.order(Ack(1))
    time.sleep(0.2)
    link.hang_up()
    link.accept()
    assert seqs(link.receive_all(1.0)) == [2]
    link.order(Ack(2))
    assert uplink.drain(2.0)


def test_without_a_link_events_wait_and_nothing_blocks(path: Path, uplink: Uplink) -> None:
    uplink.start()
    begun = time.monotonic()
    for _ in range(20):
        uplink.publish(values())
    assert time.monotonic() - begun < 0.5
    assert uplink.waiting == 20
    assert not uplink.drain(0.3)
    link = Link(path)
    link.accept()
    assert seqs(link.receive_all(1.0))[:3] == [1, 2, 3]
    link.close()


def test_it_keeps_to_the_rate_of_the_contract(link: Link, uplink: Uplink) -> None:
    for _ in range(30):
        uplink.publish(values())
    uplink.start()
    link.accept()
    begun = time.monotonic()
    reports = [m for m in link.receive_all(4.0) if not isinstance(m, MicSignal | SpeechSignal | LevelSignal)]
    allowed = contract.REPORTS_BURST + contract.REPORTS_PER_SECOND * (time.monotonic() - begun + 0.1)
    assert contract.REPORTS_BURST + 4 <= len(reports) <= allowed
    assert max(link.sizes) <= contract.MAX_REPORT_BYTES


def test_a_link_that_stops_reading_loses_no_event(link: Link, uplink: Uplink) -> None:
    uplink.start()
    link.accept()
    for _ in range(8):
        uplink.publish(values())
    time.sleep(1.0)
    uplink.set_mic("lost")
    assert seqs(link.receive_all(1.0)) == list(range(1, 9))


def test_of_the_microphone_only_the_latest_state_is_told(link: Link, uplink: Uplink) -> None:
    uplink.start()
    link.accept()
    for _ in range(20):
        uplink.set_mic("lost")
        uplink.set_mic("ok")
    time.sleep(0.5)
    uplink.set_mic("muted")
    states = [m.state for m in link.receive_all(1.5) if isinstance(m, MicSignal)]
    assert states[-1] == "muted"
    assert len(states) <= contract.SIGNALS_BURST + contract.SIGNALS_PER_SECOND * 2.2


def test_the_level_comes_twice_a_second_and_only_while_it_is_asked_for(link: Link, uplink: Uplink) -> None:
    uplink.start()
    link.accept()
    assert not [m for m in link.receive_all(0.8) if isinstance(m, LevelSignal)]
    link.order(LevelOn(2))
    levels = [m for m in link.receive_all(3.5) if isinstance(m, LevelSignal)]
    assert 3 <= len(levels) <= 5
    assert levels[0] == LevelSignal(dbfs=-31, speech=True)
    link.order(LevelOn(30))
    assert isinstance(link.receive(1.0), LevelSignal)
    link.order(LevelOn(0))
    link.receive_all(0.3)
    assert link.receive_all(1.2) == []


def test_health_is_sent_once(link: Link, uplink: Uplink) -> None:
    health = EarHealth(
        frames=1, overruns=2, utterances=3, inference_p50_ms=4, inference_p95_ms=5, rss_mb=90, dropped=0
    )
    uplink.start()
    link.accept()
    uplink.set_health(health)
    assert [m for m in link.receive_all(1.0) if isinstance(m, HealthReport)] == [HealthReport(health)]


def test_orders_reach_the_ear_and_what_is_none_is_ignored(
    link: Link, uplink: Uplink, orders: list[EarCommand]
) -> None:
    uplink.start()
    link.accept()
    link.order(b'{"t":"record_everything"}')
    link.order(b"\xff" * 100)
    link.order(b"x" * 5000)
    link.order(Mute())
    deadline = time.monotonic() + 5
    while not orders and time.monotonic() < deadline:
        time.sleep(0.02)
    assert orders == [Mute()]


def test_two_threads_may_publish_while_it_sends(link: Link, uplink: Uplink) -> None:
    uplink.start()
    link.accept()
    threads = [
        threading.Thread(target=lambda: [uplink.publish(values()) for _ in range(4)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert sorted(seqs(link.receive_all(2.0))) == list(range(1, 9))


def test_a_link_that_refuses_is_not_knocked_at_again_and_again(
    path: Path, uplink: Uplink, caplog: pytest.LogCaptureFixture
) -> None:
    """As one does that has another ear already: it accepts and closes."""
    caplog.set_level("INFO")
    accepted = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0.1)
        uplink.start()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                listener.accept()[0].close()
                accepted += 1
    # With a back-off that starts over each time it were about forty.
    assert 2 <= accepted <= 10
    assert "link_closes" in codes(caplog)
    assert len(caplog.records) <= 3
