"""Commands over a real broker, carried out by a client in the place of the ear."""

import json
import time

from edge import protocol
from edge.protocol import MicSignal, Mute, Restart, Unmute
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.waiting import until


def test_mute_is_answered_when_the_ear_has_muted(subscriber, ear):
    until(lambda: subscriber.last("mic") == "ok")
    asked = subscriber.command("mute")
    until(lambda: ear.commands == [Mute()])
    time.sleep(0.3)
    assert not subscriber.of("resp/mute")
    ear.say(MicSignal("muted"))
    assert subscriber.answer("mute", asked) == protocol.Response(transaction=asked, ok=True)


def test_a_microphone_that_was_muted_at_the_device_stays_muted_and_the_answer_says_so(subscriber, ear):
    ear.say(MicSignal("muted", ("device",)))
    until(lambda: subscriber.last("mic") == "muted")
    assert json.loads(subscriber.last("muted_by")) == {"muted_by": ["device"]}
    asked = subscriber.command("unmute")
    until(lambda: ear.commands == [Unmute()])
    answer = subscriber.answer("unmute", asked)
    assert not answer.ok
    assert "at the device" in answer.error


def test_without_an_ear_the_answer_says_so(subscriber, link):
    for verb in ("unmute", "level_on", "restart"):
        assert "no ear" in subscriber.answer(verb, subscriber.command(verb)).error


def test_a_mute_without_an_ear_is_carried_out_when_one_connects(subscriber, link):
    assert subscriber.answer("mute", subscriber.command("mute")).ok
    with EarClient(link.socket) as ear:
        until(lambda: Mute() in ear.commands)


def test_a_command_of_an_old_base_topic_has_no_effect(tmp_path, broker):
    """The broker keeps the subscription of the session; it is withdrawn."""
    socket = f"runtime.socket={tmp_path}/link.sock"
    old = LinkProcess(tmp_path, broker.port, settings=(socket, "node.base_topic=old"))
    with old:
        until((tmp_path / "link.identity").exists)
        old.stop()
    with (
        LinkProcess(tmp_path, broker.port, settings=(socket,)) as link,
        Subscriber(broker.port) as subscriber,
    ):
        until(lambda: "connected" in link.codes)
        until(lambda: "UNSUBSCRIBE" in broker.log)
        until(lambda: subscriber.last("availability") == "online")
        subscriber.publish("old/kitchen/cmd/identify", json.dumps({"transaction": "old"}))
        assert subscriber.answer("identify", subscriber.command("identify")).ok
        assert link.codes.count("identify") == 1
        assert "unknown_topic" not in link.codes


def test_a_retained_command_is_ignored_now_and_at_every_connection(ear, link, broker, subscriber):
    subscriber.command("restart", retain=True)
    until(lambda: "retained_command" in link.codes)
    broker.kill()
    broker.start()
    with Subscriber(broker.port) as again:
        again.command("restart", retain=True)
        # It says so after it has subscribed: a command before that is lost.
        until(lambda: again.last("availability") == "online", 20)
        asked = again.command("identify")
        assert again.answer("identify", asked).ok
    assert ear.commands == []
    assert not subscriber.of("resp/restart")


def test_a_command_that_waited_while_the_link_was_away_has_no_effect(subscriber, link, ear):
    ear.close()
    assert link.stop() == 0
    asked = subscriber.command("identify")
    link.start()
    assert "send it again" in subscriber.answer("identify", asked).error
    assert "identify" not in link.codes


def test_malformed_and_unknown_commands_get_an_answer_and_do_nothing(subscriber, ear):
    subscriber.publish("roomtone/kitchen/cmd/mute", b"\xff\xfe not json")
    assert "malformed" in subscriber.answer("mute", "").error
    asked = subscriber.command("mute", second=3)
    assert "malformed" in subscriber.answer("mute", asked).error
    asked = subscriber.command("explode")
    assert "known here: identify" in subscriber.answer("explode", asked).error
    stale = subscriber.command("mute", sent_at="2020-01-01T00:00:00.000Z")
    assert "send it again" in subscriber.answer("mute", stale).error
    assert ear.commands == []


def test_the_same_transaction_acts_once_and_is_answered_again(subscriber, link):
    for _ in range(2):
        subscriber.command("identify", transaction="twice")
    until(lambda: len(subscriber.of("resp/identify")) == 2)
    assert link.codes.count("identify") == 1


def test_a_flood_of_commands_is_cut_off_and_the_link_goes_on(subscriber, link):
    for number in range(40):
        subscriber.command("identify", transaction=f"n{number}")
    until(lambda: "too_many_commands" in link.codes)
    time.sleep(2)
    assert 10 <= link.codes.count("identify") <= 16
    assert subscriber.answer("identify", subscriber.command("identify")).ok


def test_commands_of_another_room_do_not_reach_this_one(subscriber, link, tmp_path_factory, broker):
    with LinkProcess(tmp_path_factory.mktemp("other"), broker.port, node="hall"):
        until(lambda: [m for m in subscriber.of("availability") if "hall" in m.topic])
        assert subscriber.answer("identify", subscriber.command("identify", node="hall")).ok
    assert "identify" not in link.codes


def test_availability_that_another_client_overwrote_is_put_right(subscriber, link):
    until(lambda: subscriber.last("availability") == "online")
    subscriber.publish("roomtone/kitchen/availability", b"offline", retain=True)
    until(lambda: [m.payload for m in subscriber.of("availability")][-2:] == [b"offline", b"online"])
    assert link.stop() == 0
    until(lambda: subscriber.last("availability") == "offline")


def test_a_restart_is_answered_when_the_ear_has_ended_and_refused_when_it_does_not(subscriber, link, ear):
    asked = subscriber.command("restart")
    until(lambda: Restart() in ear.commands)
    assert not subscriber.answer("restart", asked).ok
    asked = subscriber.command("restart")
    until(lambda: ear.commands.count(Restart()) == 2)
    ear.close()
    assert subscriber.answer("restart", asked).ok


def test_the_whole_state_is_published_again_for_a_subscriber_to_whom_nothing_retained_is_sent(
    subscriber, ear, link
):
    leaves = ("info", "mic", "muted_by", "availability")
    until(lambda: all(subscriber.of(leaf) for leaf in leaves) and subscriber.last("mic") == "ok")
    before = {leaf: len(subscriber.of(leaf)) for leaf in leaves}
    assert subscriber.answer("republish", subscriber.command("republish")).ok
    until(lambda: all(len(subscriber.of(leaf)) > before[leaf] for leaf in leaves))
    assert (subscriber.last("mic"), subscriber.last("availability")) == ("ok", "online")
