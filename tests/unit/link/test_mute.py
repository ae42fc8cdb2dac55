"""A mute is never swallowed: it is kept until the ear has confirmed it; a refused unmute says why."""

import asyncio

import pytest

from edge.link.commands import Response
from edge.link.mute_commands import CONFIRM_S, MuteCommands
from edge.protocol import Command, MicSignal, Mute, Unmute

OPEN = MicSignal("ok")
REMOTE = MicSignal("muted", ("remote",))
DEVICE = MicSignal("muted", ("device",))
QUIET = MicSignal("muted", ("quiet_hours",))


class Loop:
    """Timers that expire when the test says so."""

    def __init__(self):
        self.timers = []

    def call_later(self, seconds, call):
        timer = asyncio.TimerHandle(seconds, call, (), self)
        self.timers.append(timer)
        return timer

    def get_debug(self):
        return False

    def _timer_handle_cancelled(self, timer):
        self.timers.remove(timer)

    def expire(self):
        for timer in self.timers:
            assert timer.when() == CONFIRM_S
            timer._run()
        self.timers.clear()


class World:
    def __init__(self, folder):
        self.file = folder / "kitchen.mute"
        self.ear = True
        self.sent = []
        self.responses: list[Response] = []
        self.start()

    def start(self):
        self.loop = Loop()
        self.commands = MuteCommands(self.send, self.loop, self.file)

    def send(self, command):
        if self.ear:
            self.sent.append(command)
        return self.ear

    def mute(self, **more):
        self.commands.mute(Command(transaction="m", **more), self.responses.append)

    def unmute(self):
        self.commands.unmute(Command(transaction="u"), self.responses.append)

    @property
    def answers(self):
        return [(response.transaction, response.ok) for response in self.responses]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.commands.on_mic(OPEN)
    return world


def test_a_mute_is_answered_when_the_ear_has_muted(world):
    world.mute()
    assert (world.sent, world.answers) == ([Mute()], [])
    assert world.file.exists()
    world.commands.on_mic(REMOTE)
    assert world.answers == [("m", True)]
    assert not world.file.exists()
    assert not world.loop.timers


def test_a_mute_without_an_ear_is_kept_and_carried_out_when_one_connects(world):
    world.ear = False
    world.mute()
    assert world.answers == [("m", True)]
    world.ear = True
    world.commands.on_ear_connected()
    assert world.sent == [Mute()]
    world.commands.on_mic(REMOTE)
    world.commands.on_ear_connected()
    assert world.sent == [Mute()], "confirmed: nothing is left to do"


def test_a_kept_mute_outlives_the_link(world):
    world.ear = False
    world.mute()
    world.start()
    world.ear = True
    world.commands.on_ear_connected()
    assert world.sent == [Mute()]


def test_a_mute_that_the_ear_did_not_confirm_comes_again_at_its_next_connection(world):
    world.mute()
    world.loop.expire()
    assert world.answers == [("m", False)]
    world.commands.on_mic(MicSignal("lost"))
    world.commands.on_ear_connected()
    assert world.sent == [Mute(), Mute()]


def test_a_microphone_that_was_muted_at_the_device_alone_does_not_confirm_a_remote_mute(world):
    world.commands.on_mic(DEVICE)
    world.mute()
    assert world.answers == [("m", True)]
    assert world.file.exists()
    world.commands.on_mic(MicSignal("muted", ("device", "remote")))
    assert not world.file.exists()


def test_an_unmute_takes_a_kept_mute_back(world):
    world.ear = False
    world.mute()
    world.unmute()
    assert world.answers == [("m", True), ("u", True)]
    world.ear = True
    world.commands.on_ear_connected()
    assert world.sent == []


def test_an_unmute_without_an_ear_fails(world):
    world.ear = False
    world.unmute()
    assert world.answers == [("u", False)]


def test_an_unmute_is_answered_when_the_microphone_is_open(world):
    world.commands.on_mic(REMOTE)
    world.unmute()
    assert (world.sent, world.answers) == ([Unmute()], [])
    world.commands.on_mic(OPEN)
    assert world.answers == [("u", True)]


@pytest.mark.parametrize(("mic", "reason"), [(DEVICE, "at the device"), (QUIET, "quiet hours")])
def test_an_unmute_that_changes_nothing_says_why_at_once(world, mic, reason):
    world.commands.on_mic(mic)
    world.unmute()
    (response,) = world.responses
    assert not response.ok
    assert reason in response.error


def test_an_unmute_of_several_reasons_says_what_is_left(world):
    world.commands.on_mic(MicSignal("muted", ("device", "remote", "quiet_hours")))
    world.unmute()
    assert world.responses == []
    world.commands.on_mic(MicSignal("muted", ("device", "quiet_hours")))
    (response,) = world.responses
    assert "at the device" in response.error
    assert "quiet hours" in response.error


def test_a_switch_with_one_topic_unmutes_with_on_false(world):
    world.commands.on_mic(REMOTE)
    world.mute(on=False)
    assert world.sent == [Unmute()]


def test_a_disk_that_cannot_be_written_loses_no_mute(world):
    world.file.parent.rmdir()
    world.ear = False
    world.mute()
    assert world.answers == [("m", True)]
    world.ear = True
    world.commands.on_ear_connected()
    assert world.sent == [Mute()]
