"""What a subscriber sees, with a real broker and a real link process."""

import json
import signal
import subprocess
import time

import pytest

from edge.protocol import LevelSignal, MicSignal
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import SHIPPED, utterance
from tests.support.waiting import until


def retained(broker, leaf):
    """What a newcomer is told."""
    done = subprocess.run(
        ["mosquitto_sub", "-p", str(broker.port), "-t", f"roomtone/kitchen/{leaf}", "-W", "2", "-C", "1"],
        capture_output=True,
        timeout=10,
        check=False,
    )
    return done.stdout.decode().strip()


def test_an_event_arrives_with_qos_1_and_not_retained_and_is_then_acknowledged(subscriber, ear, broker):
    told = ear.tell(utterance(1))
    until(lambda: subscriber.of("event"))
    message = subscriber.of("event")[0]
    assert message.topic == "roomtone/kitchen/event"
    assert (message.qos, message.retain) == (1, False)
    (event,) = subscriber.events()
    assert (event.seq, event.event_type, event.duration_ms) == (1, "happy", told.values.length * 32)
    until(lambda: ear.acks == [told.n])
    assert retained(broker, "event") == ""


def test_what_is_retained_tells_a_newcomer_how_the_room_is(ear, broker):
    until(lambda: retained(broker, "mic") == "ok")
    assert retained(broker, "availability") == "online"
    info = json.loads(retained(broker, "info"))
    assert (info["node"], info["ear"]["model"]) == ("kitchen", f"base-{SHIPPED['version']}")
    assert retained(broker, "health") == ""


def test_the_microphone_is_lost_when_the_ear_has_gone(subscriber, ear):
    until(lambda: subscriber.last("mic") == "ok")
    ear.say(MicSignal("muted"))
    until(lambda: subscriber.last("mic") == "muted")
    ear.close()
    time.sleep(1)
    assert subscriber.last("mic") == "muted"  # an ear that is restarted is away for some seconds
    until(lambda: subscriber.last("mic") == "lost", 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_says_offline_and_leaves_no_socket(subscriber, ear, link, number):
    until(lambda: subscriber.last("availability") == "online")
    assert link.stop(number) == 0
    until(lambda: subscriber.last("availability") == "offline", 1)
    assert not link.socket.exists()
    assert "Traceback" not in link.log


def test_a_killed_link_is_declared_offline_by_its_will(subscriber, ear, link, broker):
    until(lambda: subscriber.last("availability") == "online")
    link.kill()
    until(lambda: subscriber.last("availability") == "offline")
    assert retained(broker, "availability") == "offline"


def test_a_link_that_was_killed_leaves_a_socket_that_the_next_one_replaces(link):
    link.kill()
    assert link.socket.exists()
    link.start()
    with EarClient(link.socket) as ear:
        told = ear.tell(utterance(1))
        until(lambda: told.n in ear.acks)
    assert link.stop() == 0
    assert not link.socket.exists()


def test_the_level_is_published_only_while_somebody_asked(subscriber, ear):
    ear.say(LevelSignal(dbfs=-40, speech=False))
    # What the ear says and what the broker says come on two ways: the answer to this shows that the level was read.
    told = ear.tell(utterance(1))
    until(lambda: told.n in ear.acks)
    asked = subscriber.command("level_on", seconds=2)
    assert subscriber.answer("level_on", asked).ok
    until(lambda: ear.commands)
    ear.say(LevelSignal(dbfs=-31, speech=True))
    until(lambda: subscriber.of("level"))
    assert [json.loads(m.payload) for m in subscriber.of("level")] == [{"dbfs": -31, "speech": True}]
    assert subscriber.of("level")[0].qos == 0


def test_health_comes_at_once_and_counts_what_was_rejected(subscriber, tmp_path, broker):
    with LinkProcess(tmp_path, broker.port) as link:
        until(lambda: subscriber.of("health"))
        with EarClient(link.socket) as ear:
            ear.raw(b'{"t":"utterance","n":1}')
            ear.raw(b"x" * 1100)
            told = ear.tell(utterance(1))
            until(lambda: told.n in ear.acks)
        broker.kill()
        broker.start()
        with Subscriber(broker.port) as again:
            until(lambda: again.of("health"), 20)
            health = json.loads(again.last("health"))
    assert (health["rejected"], health["reconnects"], health["spool"], health["drops"]) == (2, 1, 0, 0)


def test_the_socket_is_for_user_and_group_only(link):
    assert link.socket.stat().st_mode & 0o777 == 0o660
