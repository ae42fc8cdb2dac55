"""The state of the microphone is bridged while an ear is restarted, and lost when none comes back."""

from __future__ import annotations

import pytest

from edge.link.microphone import MicrophoneState
from edge.protocol import RESTART_GRACE_S, MicSignal


class Loop:
    """The part of an event loop that is used, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def call_later(self, delay, callback):
        timer = Timer(self.now + delay, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds):
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.due <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.callback()


class Timer:
    def __init__(self, due, callback):
        self.due, self.callback, self.cancelled = due, callback, False

    def cancel(self):
        self.cancelled = True


class World:
    def __init__(self):
        self.loop = Loop()
        self.told: list[str] = []
        self.mic = MicrophoneState(lambda mic: self.told.append(mic.state), self.loop, "/run/link.sock")

    def connect(self, *signals):
        self.mic.on_ear_connected()
        for signal in signals:
            self.mic.on_mic(signal)


@pytest.fixture
def world():
    return World()


def test_a_restart_of_the_ear_is_no_problem_of_the_microphone(world):
    world.connect(MicSignal("starting"), MicSignal("ok"))
    world.mic.on_ear_disconnected()
    world.loop.advance(RESTART_GRACE_S - 1)
    world.connect(MicSignal("starting"), MicSignal("ok"))
    world.loop.advance(2 * RESTART_GRACE_S)
    assert "lost" not in world.told
    assert world.mic.state == "ok"


@pytest.mark.parametrize("reason", ["remote", "device", "quiet_hours"])
def test_a_muted_microphone_stays_muted_over_a_restart(world, reason):
    world.connect(MicSignal("starting"), MicSignal("muted", (reason,)))
    before = len(world.told)
    world.mic.on_ear_disconnected()
    world.connect(MicSignal("starting", (reason,)), MicSignal("muted", (reason,)))
    assert set(world.told[before:]) == {"muted"}


def test_a_mute_that_ended_while_the_ear_was_away_is_not_kept(world):
    world.connect(MicSignal("muted", ("quiet_hours",)))
    world.mic.on_ear_disconnected()
    world.connect(MicSignal("starting"))
    assert world.mic.state == "starting"


@pytest.mark.parametrize("signals", [(), (MicSignal("ok"),), (MicSignal("muted", ("remote",)),)])
def test_an_ear_that_stays_away_is_a_lost_microphone(world, signals, caplog):
    if signals:
        world.connect(*signals)
        world.mic.on_ear_disconnected()
    world.loop.advance(RESTART_GRACE_S + 1)
    assert world.told[-1] == "lost"
    assert "[ear_missing]" in caplog.text


def test_nothing_is_reported_after_the_end(world):
    world.mic.close()
    world.loop.advance(2 * RESTART_GRACE_S)
    assert world.told == []
