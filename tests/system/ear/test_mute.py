"""Muting an ear that runs, is killed, and has a full disk."""

from pathlib import Path

import pytest

from edge.ear.mute.mute_state import MuteState
from edge.protocol import MicSignal, Mute, Unmute
from tests.support.ear import Ear, Link


def start(tmp_path: Path, room: Path) -> Ear:
    state = {"STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "runtime")}
    return Ear(tmp_path, {"audio.source": "playback", "audio.playback_dir": room, "audio.speed": 4}, state)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    import numpy as np
    import soundfile

    folder = tmp_path / "room"
    folder.mkdir()
    soundfile.write(folder / "noise.wav", np.random.default_rng(1).normal(0, 0.01, 48_000), 16_000)
    (tmp_path / "state").mkdir()
    (tmp_path / "runtime").mkdir()
    return folder


def test_a_mute_from_afar_outlives_a_kill(tmp_path: Path, room: Path, link: Link) -> None:
    ear = start(tmp_path, room)
    try:
        link.accept()
        link.wait_for("ok")
        link.order(Mute())
        link.wait_for("muted")
        assert (tmp_path / "runtime" / "mic").read_text() == "muted"
    finally:
        ear.kill()
    link.hang_up()
    ear = start(tmp_path, room)
    try:
        link.accept()
        link.wait_for("muted")
        assert not [m for m in link.receive_all(1.5) if isinstance(m, MicSignal) and m.state == "ok"]
        link.order(Unmute())
        link.wait_for("ok")
        assert ear.stop() == 0
    finally:
        ear.kill()


def test_what_was_muted_at_the_device_is_not_unmuted_from_afar(
    tmp_path: Path, room: Path, link: Link
) -> None:
    ear = start(tmp_path, room)
    try:
        link.accept()
        link.wait_for("ok")
        at_device = MuteState(tmp_path / "state")
        at_device.set_local(True)
        link.wait_for("muted")
        link.order(Unmute())
        assert not [m for m in link.receive_all(2.0) if isinstance(m, MicSignal) and m.state == "ok"]
        at_device.set_local(False)
        link.wait_for("ok")
    finally:
        ear.kill()
