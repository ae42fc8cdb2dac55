"""Voices through a real sound server, PortAudio and PyAudio into the ear."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import protocol
from edge.ear.process import EXIT_HUNG
from edge.protocol import InfoReport, MicFormat
from tests.support.ear import Ear, Link
from tests.support.machines.microphone import VirtualMicrophone


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(tmp_path / "link.sock")
    yield link
    link.close()


@pytest.fixture
def ear(tmp_path: Path, microphone: VirtualMicrophone, link: Link) -> Iterator[Ear]:
    ear = Ear(tmp_path, {"audio.source": "microphone"})
    link.accept()
    yield ear
    ear.kill()


def test_what_is_said_into_the_microphone_arrives_as_an_event(
    microphone: VirtualMicrophone, ear: Ear, link: Link
) -> None:
    link.wait_for("ok")
    microphone.play("goforward.raw")
    (event,) = link.events(1, 10.0)
    assert 1200 < event.length * 32 < 2800
    assert link.numbers == [1]
    assert event.latency < 100
    told = [
        message for message in map(protocol.decode_ear_message, link.raw) if isinstance(message, InfoReport)
    ]
    # The plug-in of the sound server offers two channels of every source: all of them are opened.
    assert [message.info.mic for message in told] == [None, MicFormat(rate_hz=16_000, channels=2)]
    assert ear.stop() == 0
    noise = [line for line in ear.lines if "ALSA" in line or "jack" in line.lower() or "Pa_" in line]
    assert noise == []


def test_a_server_that_dies_is_a_lost_microphone_until_it_is_back(
    microphone: VirtualMicrophone, ear: Ear, link: Link
) -> None:
    link.wait_for("ok")
    microphone.kill()
    try:
        link.wait_for("lost", 10.0)
        assert ear.process.poll() is None
    except ConnectionError:
        # Now and then the plug-in of the sound server never returns: what the service manager does then.
        assert ear.wait(5.0) == EXIT_HUNG
        ear.start(wait=False)
        link.accept()
        link.wait_for("lost", 20.0)
    time.sleep(2.0)
    microphone.start()
    # Within ten seconds it hears again, with no hand laid on.
    link.wait_for("ok", 10.0)
    microphone.play("goforward.raw")
    assert link.events(1, 10.0)
    transitions = [line.split(" (")[0].partition("microphone: ")[2] for line in ear.lines if " -> " in line]
    assert transitions[0] == "starting -> ok"
    assert transitions[-2:] in (["ok -> lost", "lost -> ok"], ["starting -> lost", "lost -> ok"])
    assert ear.stop() == 0


def test_a_read_that_never_returns_ends_the_process_with_its_own_status(
    microphone: VirtualMicrophone, ear: Ear, link: Link
) -> None:
    link.wait_for("ok")
    microphone.freeze()
    begun = time.monotonic()
    assert ear.wait(15.0) == EXIT_HUNG
    assert time.monotonic() - begun < 9.0


def test_the_microphone_is_listed_and_can_be_chosen_by_what_is_listed(
    tmp_path: Path, microphone: VirtualMicrophone, link: Link
) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "devices", "--json"],
        env=microphone.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    devices = json.loads(listed.stdout)
    assert listed.stderr == ""
    assert [device["default"] for device in devices].count(True) == 1
    ear = Ear(tmp_path, {"audio.source": "microphone", "audio.device": devices[0]["identity"]})
    try:
        link.accept()
        link.wait_for("ok")
        assert ear.stop() == 0
    finally:
        ear.kill()


def test_the_meter_shows_how_loud_it_is_and_ends_by_itself(microphone: VirtualMicrophone) -> None:
    meter = subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", "devices", "--meter", "--json", "--seconds", "4"],
        env=microphone.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert meter.stdout is not None
    first = meter.stdout.readline()
    microphone.play("goforward.raw", wait=False)
    lines, said = meter.communicate(timeout=20)
    assert meter.returncode == 0, said
    assert "16000 Hz" in said
    levels = [json.loads(line) for line in [first, *lines.splitlines()]]
    assert len(levels) >= 3
    assert levels[0]["dbfs"] == -100.0  # nobody spoke yet
    assert max(level["dbfs"] for level in levels) > -40
    assert all(level["dbfs"] <= level["peak_dbfs"] <= 0 for level in levels)


def test_the_meter_says_that_a_microphone_hangs(microphone: VirtualMicrophone) -> None:
    meter = subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", "devices", "--meter"],
        env=microphone.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert meter.stderr is not None
    assert "Hz" in meter.stderr.readline()
    microphone.freeze()
    _, said = meter.communicate(timeout=20)
    assert meter.returncode != 0
    assert "the microphone does not respond" in said
