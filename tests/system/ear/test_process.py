"""The ear as users start it: a real process, the shipped model, recorded voices, a real socket at the other end."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edge.audio.segmenter import Segmenter
from edge.audio.vad import make_vad
from edge.config.load import load
from edge.config.settings import Audio
from edge.ear.capture.playback import PlaybackSource
from edge.ear.capture.source import SourceEndedError
from edge.ear.process import EXIT_RESTART
from edge.inference import bundle as bundles
from edge.protocol import (
    InfoReport,
    MicSignal,
    Mute,
    Restart,
    Unmute,
    UtteranceReport,
)
from tests.support.ear import Ear, Link, playback, sockets_of


def start(
    ears: list[Ear], folder: Path, settings: dict[str, object], environment: dict[str, str] | None = None
) -> Ear:
    ear = Ear(folder, settings, environment)
    ears.append(ear)
    return ear


def test_recorded_speech_becomes_events_and_the_end_of_the_room_a_clean_end(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    ear = start(ears, tmp_path, playback(room, loop=False, speed=4))
    link.accept()
    first = link.receive()
    assert isinstance(first, InfoReport)
    events = link.events_until_gone(30.0)
    assert link.numbers == list(range(1, len(events) + 1))
    assert len(events) >= 2
    assert ear.wait() == 0
    (ready,) = (line for line in ear.lines if re.search(r"ready after \d", line))
    assert str(bundles.find("base")) in ready
    assert not [line for line in ear.lines if "ALSA" in line or "jack" in line or "XNNPACK" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_at_once_when_it_is_told_to(
    tmp_path: Path, room: Path, ears: list[Ear], number: signal.Signals
) -> None:
    ear = start(ears, tmp_path, playback(room))
    ear.wait_for_line("ready after")
    begun = time.monotonic()
    assert ear.stop(number) == 0
    assert time.monotonic() - begun < 2.0


def test_a_missing_microphone_is_a_state_and_not_a_crash(tmp_path: Path, link: Link, ears: list[Ear]) -> None:
    pytest.importorskip("pyaudio")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    ear = start(
        ears, tmp_path, {"audio.device": "usb:dead:beef:0"}, {"NOTIFY_SOCKET": str(tmp_path / "manager")}
    )
    link.accept()
    link.wait_for("lost")
    with manager:
        manager.settimeout(20.0)
        assert manager.recv(1024).startswith(b"STATUS=microphone: lost (no microphone")
    time.sleep(2.0)
    assert ear.process.poll() is None
    lines = [line for line in ear.lines if "-> lost" in line]
    assert len(lines) == 1
    assert "no microphone" in lines[0]
    assert ear.stop() == 0


def test_mute_closes_the_source_and_unmute_opens_it(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    start(ears, tmp_path, playback(room, speed=4))
    link.accept()
    link.wait_for("ok")
    link.order(Mute())
    link.wait_for("muted")
    link.receive_all(0.5)
    assert not [m for m in link.receive_all(2.5) if isinstance(m, UtteranceReport)]
    link.order(Unmute())
    link.wait_for("ok")
    assert link.events(1, 15.0)


def test_a_restart_that_was_asked_for_has_its_own_status(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    ear = start(ears, tmp_path, playback(room), {"NOTIFY_SOCKET": str(tmp_path / "manager")})
    link.accept()
    link.wait_for("ok")
    link.order(Restart())
    assert ear.wait() == EXIT_RESTART


def test_a_restart_is_refused_where_nothing_would_start_it_again(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    ear = start(ears, tmp_path, playback(room), {"NOTIFY_SOCKET": ""})
    link.accept()
    link.wait_for("ok")
    link.order(Restart())
    link.order(Mute())
    link.wait_for("muted")
    assert ear.running


def test_a_new_link_is_told_the_state_and_gets_what_the_old_one_did_not_acknowledge(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    start(ears, tmp_path, playback(room, speed=4))
    link.accept()
    while not isinstance(message := link.receive(), UtteranceReport):
        pass
    link.hang_up()
    link.accept()
    assert isinstance(link.receive(), InfoReport)
    assert link.receive() == MicSignal("ok")
    assert (link.events(1, 10.0), link.numbers) == ([message.values], [message.n])


def test_at_forty_times_real_time_no_utterance_is_missed(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    """Against what detector and segmenter find when nobody hurries them."""
    config = load()
    source = PlaybackSource(
        Audio(source="playback", playback_dir=str(room), loop=False, gap_s=0.7, speed=100), threading.Event()
    )
    vad, segmenter, expected = make_vad(config), Segmenter(config), []
    source.open()
    try:
        while True:
            for block in source.read(1):
                expected += segmenter.push(block.samples, vad.probability(block.samples))
    except SourceEndedError:
        expected += segmenter.flush()
    start(ears, tmp_path, playback(room, loop=False, gap_s=0.7, speed=40))
    link.accept()
    events = link.events_until_gone(30.0)
    assert [event.length * 32 for event in events] == [utterance.duration_ms for utterance in expected]


def test_the_service_manager_hears_ready_and_then_that_it_is_alive(
    tmp_path: Path, room: Path, ears: list[Ear]
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(15)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    ear = start(ears, tmp_path, playback(room), environment)
    said: list[str] = []
    while said.count("WATCHDOG=1") < 4:
        said += manager.recv(4096).decode().splitlines()
    assert "READY=1" in said
    # A process that is stopped says nothing: that is what the watchdog is for.
    ear.process.send_signal(signal.SIGSTOP)
    manager.settimeout(1.5)
    with pytest.raises(TimeoutError):
        for _ in range(5):
            manager.recv(4096)
    ear.process.send_signal(signal.SIGCONT)
    assert ear.stop() == 0
    manager.close()


def test_it_holds_no_socket_that_could_leave_the_machine(
    tmp_path: Path, room: Path, link: Link, ears: list[Ear]
) -> None:
    ear = start(ears, tmp_path, playback(room))
    link.accept()
    link.wait_for("ok")
    if os.geteuid() == 0:
        assert set(sockets_of(ear.process.pid)) == {"unix"}
    else:
        # It is not dumpable: only root may look.
        with pytest.raises(PermissionError):
            sockets_of(ear.process.pid)
    # The positive control: the same probe sees an internet socket where there is one.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inet:
        inet.bind(("127.0.0.1", 0))
        inet.listen()
        assert "tcp" in sockets_of(os.getpid())


def test_it_loads_nothing_that_speaks_over_a_network(room: Path) -> None:
    code = (
        "import sys, threading\n"
        "from edge.cli import main as cli\n"
        "options = cli.create_parser(only='ear').parse_args(['ear'])\n"
        "import edge.ear.process, edge.ear.capture.playback, edge.ear.capture.microphone\n"
        "from edge.config.load import load\n"
        "from edge.audio.vad import make_vad\n"
        "from edge.inference import bundle\n"
        "from edge.inference.classifier import Classifier\n"
        "make_vad(load()); Classifier(bundle.load(bundle.find('base')))\n"
        "print(*sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "edge.ear.process" in loaded
    network = (
        "paho",
        "http",
        "ssl",
        "_ssl",
        "asyncio",
        "urllib.request",
        "ftplib",
        "smtplib",
        "edge.link",
        "dashboard",
    )
    assert not [name for name in loaded if any(name == n or name.startswith(f"{n}.") for n in network)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"audio.source": "playback", "audio.playback_dir": "/nonexistent"}, "no such folder"),
        ({"audio.source": "playback", "audio.playback_dir": "."}, "no audio files"),
        ({"audio.sauce": "wav"}, "did you mean `audio.source`"),
        ({"model.bundle": "/nonexistent"}, "no model bundle"),
        ({"node.id": "Kitchen/1"}, "no slash"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    tmp_path: Path, room: Path, ears: list[Ear], settings: dict[str, object], words: str
) -> None:
    if "model.bundle" in settings:
        settings = {**playback(room), **settings}
    ear = start(ears, tmp_path, settings)
    assert ear.wait() == 2
    assert len(ear.lines) == 1
    assert words in ear.lines[0]
