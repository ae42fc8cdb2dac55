"""A broker that is late, goes away, hangs or forgets: nothing is lost, and the order stays."""

import json
import subprocess
import sys
import time

import msgspec
import pytest

from edge.link.delivery.episodes import Waiting
from edge.link.delivery.spool import Spool
from edge.protocol import Episode, MicSignal, encode
from tests.support.broker import Broker, free_port
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import event, utterance
from tests.support.waiting import until


def spool(link):
    return link.folder / f"{link.node}.spool"


def test_events_from_before_the_broker_was_there_arrive_in_order(tmp_path):
    broker = Broker(folder=tmp_path)
    with LinkProcess(tmp_path, broker.port) as link, EarClient(link.socket) as ear:
        told = [ear.tell(utterance(seq)) for seq in range(1, 8)]
        until(lambda: len(ear.acks) == 7, what="acknowledged from disk")
        assert "connection_refused" in link.codes
        with broker, Subscriber(broker.port) as subscriber:
            until(lambda: len(subscriber.of("event")) >= 7, 30)
            assert subscriber.numbers() == [one.n for one in told]
            until(lambda: subscriber.last("availability") == "online")


def test_events_from_while_the_broker_was_dead_arrive_in_order(link, ear, broker):
    with Subscriber(broker.port, "keeper") as subscriber:
        ear.tell(utterance(1))
        until(lambda: subscriber.seqs() == [1])
        broker.kill()
        for seq in range(2, 8):
            ear.tell(utterance(seq))
        until(lambda: len(ear.acks) == 7, what="acknowledged from disk")
        broker.start()
        until(lambda: len(subscriber.seqs()) == 7, 40)
        assert subscriber.seqs() == list(range(1, 8))


def test_a_working_broker_costs_the_disk_nothing(link, ear, subscriber):
    for seq in range(1, 6):
        ear.tell(utterance(seq))
    until(lambda: len(ear.acks) == 5)
    assert not spool(link).exists()


def test_a_broker_that_hangs_sends_the_events_to_disk_within_a_second_or_two(link, ear, broker, subscriber):
    ear.tell(utterance(1))
    until(lambda: subscriber.seqs() == [1])
    broker.pause()
    try:
        told = ear.tell(utterance(2))
        until(lambda: told.n in ear.acks, 2)
        assert spool(link).exists()
    finally:
        broker.go_on()
    until(lambda: subscriber.seqs() == [1, 2])


def test_events_on_disk_survive_the_death_of_the_link(tmp_path):
    broker = Broker(folder=tmp_path)
    link = LinkProcess(tmp_path, broker.port)
    with link, EarClient(link.socket) as ear:
        told = [ear.tell(utterance(seq)) for seq in range(1, 6)]
        until(lambda: len(ear.acks) == 5)
        link.kill()
    with link, broker, Subscriber(broker.port) as subscriber:
        until(lambda: len(subscriber.events()) >= 5, 30)
        assert subscriber.numbers() == [one.n for one in told]


def test_an_episode_in_which_the_link_is_killed_ends_with_the_next_link(tmp_path, broker):
    link = LinkProcess(tmp_path, broker.port)
    with Subscriber(broker.port) as subscriber:
        with link, EarClient(link.socket) as ear:
            until(lambda: "connected" in link.codes)
            while not subscriber.of("episode"):
                ear.report()
            until(lambda: json.loads(subscriber.last("state"))["agitated"])
            note = tmp_path / "kitchen.episode"
            until(lambda: b'started"' not in note.read_bytes(), what="the broker's answer to the start")
            link.kill()
        with link:
            until(lambda: len(subscriber.of("episode")) == 2)
            until(lambda: not json.loads(subscriber.last("state"))["agitated"])
            until(lambda: not (tmp_path / "kitchen.episode").exists())
        started, ended = (json.loads(message.payload) for message in subscriber.of("episode"))
        assert (started["event_type"], ended["event_type"], ended["interrupted"]) == (
            "started",
            "ended",
            True,
        )
        assert "interrupted" not in started


def test_an_episode_that_starts_in_an_outage_and_goes_on_after_it_starts_and_ends(tmp_path):
    broker = Broker(folder=tmp_path)
    with LinkProcess(tmp_path, broker.port) as link, EarClient(link.socket) as ear:
        for _ in range(8):
            ear.report()
        until(lambda: len(ear.acks) == 8, what="acknowledged from disk")
        assert not (tmp_path / "kitchen.episode").exists(), "no subscriber knows of it"
        with broker, Subscriber(broker.port) as subscriber:
            until(lambda: subscriber.of("episode") and subscriber.of("state"), 30)
            assert json.loads(subscriber.last("state"))["agitated"]
            assert link.stop() == 0
            until(lambda: len(subscriber.of("episode")) == 2)
            started, ended = (json.loads(message.payload) for message in subscriber.of("episode"))
            assert (started["event_type"], ended["event_type"]) == ("started", "ended")
            assert started["started_at"] == ended["started_at"]
            assert not (tmp_path / "kitchen.episode").exists()


def test_after_a_power_cut_a_broker_that_is_late_and_no_microphone_leave_no_room_agitated(tmp_path):
    broker = Broker(folder=tmp_path)
    stamp = "2026-01-01T10:00:00.000Z"
    end = Episode(event_type="ended", started_at=stamp, peak=0.4, model="base-0.8.2", interrupted=True)
    (tmp_path / "kitchen.episode").write_bytes(msgspec.json.encode(Waiting("roomtone", "kitchen", end)))
    with LinkProcess(tmp_path, broker.port) as link, EarClient(link.socket) as ear:
        ear.say(MicSignal("lost"))
        ear.tell(utterance(1))
        until(lambda: len(ear.acks) == 1, what="acknowledged from disk, and the microphone before it")
        with broker, Subscriber(broker.port) as subscriber:
            until(lambda: subscriber.of("episode"), 30)
            until(lambda: subscriber.of("state"))
            assert subscriber.last("mic") == "lost"
            assert not json.loads(subscriber.last("state"))["agitated"]


def test_an_event_that_nobody_has_subscribed_to_waits_for_somebody(link, ear, broker):
    told = [ear.tell(utterance(seq)) for seq in range(1, 4)]
    until(lambda: len(ear.acks) == 3)
    until(lambda: "no_subscribers" in link.codes)
    with Subscriber(broker.port) as subscriber:
        told.append(ear.tell(utterance(4)))
        until(lambda: len(subscriber.events()) >= 4)
        assert subscriber.numbers() == [one.n for one in told]


def test_what_a_forgetful_broker_took_for_an_absent_subscriber_is_sent_again(tmp_path, broker):
    """A PUBACK is not delivery: mosquitto forgets the queue of a subscriber when it is killed."""
    with LinkProcess(tmp_path, broker.port) as link, EarClient(link.socket) as ear:
        until(lambda: "connected" in link.codes)
        with Subscriber(broker.port, "recorder"):
            pass
        told = [ear.tell(utterance(seq)) for seq in range(1, 4)]
        until(lambda: len(ear.acks) == 3, what="taken for the absent subscriber")
        assert not spool(link).exists()
        broker.kill()
        broker.start()
        with Subscriber(broker.port, "recorder", clean=False) as back:
            until(lambda: len(back.events()) >= 3, 30)
            assert back.numbers() == [one.n for one in told]


def test_an_event_told_twice_arrives_once(link, ear, subscriber):
    one = utterance(1)
    ear.tell(one)
    until(lambda: ear.acks == [one.n])
    ear.tell(one)
    until(lambda: ear.acks == [one.n, one.n])
    ear.tell(utterance(2))
    until(lambda: len(subscriber.of("event")) == 2)
    assert subscriber.seqs() == [1, 2]


def test_a_subscriber_closes_its_gap_by_a_replay(link, ear, subscriber):
    told = [ear.tell(utterance(seq)) for seq in range(1, 6)]
    until(lambda: len(subscriber.of("event")) == 5)
    asked = subscriber.command("replay", boot=subscriber.events()[0].boot, from_seq=2, to_seq=4)
    answer = subscriber.answer("replay", asked)
    assert (answer.ok, answer.events, answer.first_seq) == (True, 3, 2)
    until(lambda: len(subscriber.of("event")) == 8)
    assert subscriber.numbers()[5:] == [one.n for one in told[1:4]]
    first, again = subscriber.events()[1:4], subscriber.events()[5:]
    assert again == [msgspec.structs.replace(event, repeated=True) for event in first]
    unknown = subscriber.command("replay", boot="00000000")
    assert "none of these" in subscriber.answer("replay", unknown).error


def rumqttd(port):
    """A broker without MQTT 5: that of the demo for machines without mosquitto."""
    pytest.importorskip("iotcore", reason="pip install --group demo")
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "iotcore",
            "--listen",
            "127.0.0.1",
            "--port",
            str(port),
            "--log-level",
            "WARNING",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_broker_without_mqtt_5_gets_3_1_1(tmp_path):
    port = free_port()
    broker = rumqttd(port)
    try:
        with LinkProcess(tmp_path, port) as link, EarClient(link.socket) as ear:
            until(lambda: link.mqtt_versions == ["3.1.1"], 20)
            told = ear.tell(utterance(1))
            until(lambda: told.n in ear.acks)
            ear.close()
            assert link.stop() == 0
    finally:
        broker.kill()
        broker.wait()


def test_the_configuration_may_insist_on_a_version(tmp_path, broker):
    with LinkProcess(tmp_path, broker.port, settings=("mqtt.version=3.1.1",)) as link:
        until(lambda: link.mqtt_versions == ["3.1.1"])


def test_after_a_day_without_a_broker_the_newest_events_arrive_in_order_and_the_dropped_ones_are_counted(
    tmp_path, broker
):
    """The day is simulated, with the spool of the link on a real disk; broker, link and subscriber are real."""
    now = time.time() - 86_400
    limit, every = 100, 300
    kept = Spool(tmp_path / "kitchen.spool", limit, 7 * 86_400, lambda: now)
    last = 86_400 // every
    largest = 0
    for seq in range(1, last + 1):
        now += every
        one = event(seq)
        kept.add(one.id, one.boot, one.seq, encode(one))
        kept.spill()
        largest = max(largest, (tmp_path / "kitchen.spool").stat().st_size)
    assert largest < 1_000_000
    assert len(kept) == limit
    kept.close()
    settings = (f"runtime.spool_events={limit}",)
    with Subscriber(broker.port) as subscriber, LinkProcess(tmp_path, broker.port, settings=settings) as link:
        until(lambda: len(subscriber.seqs()) == limit)
        assert subscriber.seqs() == list(range(last - limit + 1, last + 1))
        until(lambda: f'"drops":{last - limit}' in subscriber.last("health"))
        assert link.stop() == 0
