"""Commands: what is refused, what counts as a repetition, and what must never be swallowed."""

from datetime import UTC, datetime

import msgspec
import pytest

from edge.link.commands import BURST, Commands, failed, ok


class World:
    def __init__(self):
        self.ran = []
        self.responses = []
        self.fail = False
        self.hold = False
        handlers = dict.fromkeys(("mute", "unmute", "identify", "replay", "model_check"), self.handle)
        self.commands = Commands(
            handlers, lambda verb, response: self.responses.append(response), lambda: True
        )

    def handle(self, command, reply):
        self.ran.append(command.transaction)
        if not self.hold:
            reply(failed(command, "not now") if self.fail else ok(command))

    def send(self, verb, transaction="t", *, retain=False, queued=False, **more):
        payload = msgspec.json.encode({"transaction": transaction, **more})
        self.commands.handle(verb, payload, retain, queued)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("verb", ["mute", "unmute", "model_check"])
def test_what_home_assistant_sends_with_one_payload_is_carried_out_every_time(world, verb):
    for _ in range(3):
        world.send(verb, "home-assistant")
    assert len(world.ran) == 3


def test_another_command_with_the_same_payload_acts_once_and_is_answered_again(world):
    for _ in range(3):
        world.send("identify")
    assert world.ran == ["t"]
    assert [response.ok for response in world.responses] == [True] * 3


def test_a_failure_is_not_remembered(world):
    world.fail = True
    world.send("replay")
    world.fail = False
    world.send("replay")
    assert [response.ok for response in world.responses] == [False, True]


def test_while_a_command_is_carried_out_the_same_one_is_not_begun_again(world):
    world.hold = True
    world.send("replay")
    world.send("replay")
    assert (world.ran, world.responses) == (["t"], [])


def test_a_flood_of_other_commands_does_not_swallow_a_mute(world):
    for number in range(5 * BURST):
        world.send("identify", f"n{number}")
    assert len(world.ran) == BURST
    world.send("mute", "now")
    assert world.ran[-1] == "now"


def test_a_flood_of_mutes_is_cut_off_too(world):
    for number in range(5 * BURST):
        world.send("mute", f"n{number}")
    assert len(world.ran) == BURST


def test_a_retained_mute_is_ignored_and_one_that_waited_closes_the_microphone(world):
    world.send("mute", retain=True)
    assert world.responses == []
    world.send("unmute", queued=True)
    assert (len(world.ran), [response.ok for response in world.responses]) == (0, [False])
    world.send("mute", queued=True)
    assert (len(world.ran), [response.ok for response in world.responses]) == (1, [False, True])


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.%fZ",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y-%m-%dt%H:%M:%Sz",
        "%Y-%m-%d %H:%M:%S.%f000000z",
    ],
)
@pytest.mark.parametrize("verb", ["mute", "unmute"])
def test_a_time_as_other_programs_write_it_is_understood(world, verb, form):
    world.send(verb, sent_at=datetime.now(UTC).strftime(form))
    assert [response.ok for response in world.responses] == [True]


@pytest.mark.parametrize(
    ("given", "text"),
    [({"sent_at": "now"}, "`sent_at` must be a time of RFC 3339"), ({"boot": "x"}, "`boot` must be 8 hex")],
)
def test_a_value_that_is_refused_is_named_in_words(world, given, text):
    world.send("mute", **given)
    assert [(r.ok, r.error.startswith(f"malformed: {text}")) for r in world.responses] == [(False, True)]
