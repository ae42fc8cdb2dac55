"""Home Assistant's side, as its documentation describes it: templates rendered with Jinja as it does."""

import json
import time
from datetime import UTC, datetime

import jinja2
import msgspec
import pytest

from edge.protocol import MicSignal, Mute, SpeechSignal, Unmute
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import event_of, utterance
from tests.support.relay import Relay
from tests.support.waiting import until

TOPIC = "homeassistant/device/kitchen/config"


@pytest.fixture
def home(broker):
    with Subscriber(broker.port, topics="#") as client:
        yield client


def announced(home, topic=TOPIC):
    found = [m for m in home.messages if m.topic == topic]
    return json.loads(found[-1].payload) if found and found[-1].payload else None


def as_timestamp(text, default):
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, TypeError):
        return default


def render(template, payload, state="unknown"):
    """What Home Assistant offers to a value template, as far as it is used."""
    try:
        tree = json.loads(payload)
    except ValueError:
        tree = None
    environment = jinja2.Environment()
    environment.filters |= {
        "timestamp_utc": lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat(),
        "to_json": json.dumps,
    }
    return environment.from_string(template).render(
        value=payload,
        value_json=tree,
        now=lambda: datetime.now(UTC),
        as_timestamp=as_timestamp,
        this={"state": state, "attributes": {}},
    )


def test_one_retained_message_announces_all_entities(home, link):
    until(lambda: announced(home))
    message = next(m for m in home.messages if m.topic == TOPIC)
    assert message.qos == 1
    assert len(message.payload) < 14_000
    with_retained = Subscriber(link_port(home), topics=TOPIC)
    until(lambda: with_retained.messages)
    assert with_retained.messages[0].retain
    with_retained.close()
    tree = announced(home)
    parts = tree["components"]
    entities = {key: part for key, part in parts.items() if part["platform"] != "device_automation"}
    assert {key: part["platform"] for key, part in entities.items()} == {
        "emotion": "sensor",
        "confidence": "sensor",
        "arousal": "sensor",
        "agitated": "binary_sensor",
        "utterance": "event",
        "episode": "event",
        "last_heard": "sensor",
        "speech": "binary_sensor",
        "microphone": "binary_sensor",
        "level": "sensor",
        "neural_model": "sensor",
        "mute": "switch",
        "restart": "button",
        "identify": "button",
        "clock": "binary_sensor",
        "certificate": "sensor",
        "temperature": "sensor",
        "drops": "sensor",
    }
    triggers = [part for part in parts.values() if part["platform"] == "device_automation"]
    assert {f"{part['subtype']} {part['type']}" for part in triggers} >= {
        "room sounds angry",
        "room is agitated",
        "speech started",
    }
    assert tree["device"]["identifiers"] == ["roomtone_kitchen"]
    assert tree["availability_mode"] == "all"
    assert all(part["unique_id"] == f"roomtone_kitchen_{key}" for key, part in entities.items())
    assert all(
        not part["enabled_by_default"]
        for key, part in entities.items()
        if part.get("state_topic", "").endswith("health") and key != "level"
    )
    assert parts["emotion"]["expire_after"] > 60


def test_a_start_announces_the_device_once(home, link, ear):
    until(lambda: home.of("info") and json.loads(home.of("info")[-1].payload)["ear"])
    time.sleep(1)
    assert len([m for m in home.messages if m.topic == TOPIC]) == 1


def link_port(home):
    return home._client._port


def test_every_state_topic_and_template_gives_a_state_that_the_entity_knows(home, ear):
    until(lambda: announced(home))
    ear.tell(utterance(1))
    until(lambda: home.of("event") and home.of("state"))
    for key, part in announced(home)["components"].items():
        if "state_topic" not in part or key == "episode":
            continue
        payload = next(m.payload.decode() for m in reversed(home.messages) if m.topic == part["state_topic"])
        value = render(part.get("value_template", "{{ value }}"), payload)
        if key == "emotion":
            assert value in part["options"]
        elif key == "confidence":
            assert 0 <= float(value) <= 100
        elif key == "utterance":
            assert json.loads(value)["event_type"] in part["event_types"]
        elif key == "neural_model":
            assert value.startswith("base-")
        elif key == "last_heard":
            assert datetime.fromisoformat(value).timestamp() == pytest.approx(time.time(), abs=60)
        elif part["platform"] in ("binary_sensor", "switch"):
            assert value in ("ON", "OFF")
            assert key == "clock" or value == "OFF"
        for availability in part.get("availability", []):
            said = next(
                m.payload.decode() for m in reversed(home.messages) if m.topic == availability["topic"]
            )
            assert render(availability.get("value_template", "{{ value }}"), said) == "online"


AGES = {"now": 0, "half a minute": 30, "over a minute": 75, "yesterday": 86_400, "in an hour": -3600}


@pytest.mark.parametrize("age", AGES)
def test_only_what_is_said_now_changes_the_event_entity_and_fires_a_trigger(home, link, age):
    until(lambda: announced(home))
    parts = announced(home)["components"]
    old = event_of("angry", time.time() - AGES[age])
    payload = msgspec.json.encode(old).decode()
    fresh = age in ("now", "half a minute")
    assert render(parts["utterance"]["value_template"], payload) == (payload if fresh else "")
    fired = {
        f"{part['subtype']} {part['type']}"
        for part in parts.values()
        if part.get("topic", "").endswith("/event")
        and render(part["value_template"], payload) == part["payload"]
    }
    assert fired == ({"room sounds angry"} if fresh else set())
    newer = datetime.now(UTC).isoformat()
    assert render(parts["last_heard"]["value_template"], payload, newer) >= newer[:19]


def test_a_wrong_clock_does_not_set_last_heard_ahead(home, link):
    until(lambda: announced(home))
    template = announced(home)["components"]["last_heard"]["value_template"]
    ahead = msgspec.json.encode(event_of("angry", time.time() + 5 * 365 * 86_400)).decode()
    right = msgspec.json.encode(event_of("angry", time.time())).decode()
    for shown in (render(template, ahead), render(template, right, "2031-01-01T00:00:00+00:00")):
        assert datetime.fromisoformat(shown).timestamp() == pytest.approx(time.time(), abs=60)


def test_speech_is_a_state_and_only_its_change_fires_a_trigger(home, ear):
    until(lambda: announced(home))
    parts = announced(home)["components"]
    ear.say(SpeechSignal(True))
    ear.say(SpeechSignal(False))

    def fired():
        return [
            part["payload"]
            for message in home.of("speech")
            for part in parts.values()
            if part.get("topic") == message.topic
            and render(part["value_template"], message.payload.decode()) == part["payload"]
        ]

    until(lambda: fired() == ["started", "ended"])
    home.publish("homeassistant/status", "online")
    count = len(home.of("speech"))
    until(lambda: len(home.of("speech")) > count, 12)
    assert fired() == ["started", "ended"]


def test_the_status_topic_is_a_setting_of_its_own(tmp_path, broker, home):
    settings = ("homeassistant.prefix=discovery", "homeassistant.status_topic=ha/birth")
    with LinkProcess(tmp_path, broker.port, settings=settings) as link:
        until(lambda: announced(home, "discovery/device/kitchen/config"))
        count = len(home.messages)
        home.publish("ha/birth", "online")
        until(lambda: [m for m in home.messages[count:] if m.topic == "discovery/device/kitchen/config"], 12)
        link.stop()


def test_the_switch_and_the_button_command_the_ear_again_and_again(home, ear):
    until(lambda: announced(home))
    parts = announced(home)["components"]
    switch = parts["mute"]
    for order, state in ((Mute(), "muted"), (Unmute(), "ok"), (Mute(), "muted")):
        count = len(ear.commands)
        payload = switch["payload_on" if state == "muted" else "payload_off"]
        command = render(switch["command_template"], payload)
        assert json.loads(command)["transaction"] != json.loads(payload)["transaction"]
        assert json.loads(command)["on"] == (state == "muted")
        home.publish(switch["command_topic"], command)
        until(lambda count=count: len(ear.commands) > count)
        assert ear.commands[-1] == order
        ear.say(MicSignal(state))
        until(lambda state=state: home.last("mic") == state)
        assert render(switch["value_template"], state) == ("ON" if state == "muted" else "OFF")
    home.publish(parts["restart"]["command_topic"], parts["restart"]["payload_press"])
    until(lambda: len(ear.commands) == 4)


def test_when_home_assistant_starts_everything_is_told_again_after_a_while(home, link):
    until(lambda: announced(home))
    count = len(home.messages)
    home.publish("homeassistant/status", "online")
    asked = time.monotonic()
    until(lambda: [m for m in home.messages[count:] if m.topic == TOPIC], 12)
    assert time.monotonic() - asked >= 1.9
    until(
        lambda: {m.topic.rpartition("/")[2] for m in home.messages[count:]} >= {"availability", "mic", "info"}
    )
    time.sleep(4)  # what is not retained is repeated once
    count = len(home.messages)
    home.publish("homeassistant/status", "offline")
    time.sleep(0.5)
    assert [m.topic for m in home.messages[count:]] == ["homeassistant/status"]


def retained_topics(port):
    with Subscriber(port, topics="#") as newcomer:
        time.sleep(0.5)
        return {m.topic for m in newcomer.messages if m.retain}


def test_a_device_with_a_new_id_takes_the_old_one_away(tmp_path, broker):
    where = f"runtime.socket={tmp_path}/link.sock"
    with LinkProcess(tmp_path, broker.port, settings=(where, "state.retain=true")) as link:
        with EarClient(tmp_path / "link.sock") as ear:
            ear.tell(utterance(1))
            until(lambda: ear.acks, 20)
        link.stop()
    assert {"roomtone/kitchen/state", TOPIC} <= retained_topics(broker.port)
    with LinkProcess(tmp_path, broker.port, node="study", settings=(where,)) as link:
        until(lambda: "renamed" in link.codes)
        link.stop()
    left = retained_topics(broker.port)
    assert not [topic for topic in left if "kitchen" in topic]
    assert "homeassistant/device/study/config" in left


def test_a_device_with_a_new_id_ends_the_episode_of_the_old_one(tmp_path, broker):
    where = f"runtime.socket={tmp_path}/link.sock"
    with Subscriber(broker.port) as subscriber:
        with LinkProcess(tmp_path, broker.port, settings=(where, "state.retain=true")) as link:
            with EarClient(tmp_path / "link.sock") as ear:
                until(lambda: "connected" in link.codes)
                while not subscriber.of("episode"):
                    ear.report()
                note = tmp_path / "link.episode"
                until(lambda: b'started"' not in note.read_bytes(), what="the broker's answer to the start")
            link.kill()
        with LinkProcess(tmp_path, broker.port, node="study", settings=(where,)) as link:
            until(lambda: len(subscriber.of("episode")) == 2)
            until(lambda: not list(tmp_path.glob("*.episode")))
            link.stop()
        started, ended = subscriber.of("episode")
        assert started.topic == ended.topic == "roomtone/kitchen/episode"
        topics = [(m.topic, bool(m.payload)) for m in subscriber.messages]
        last_end = len(topics) - 1 - topics[::-1].index(("roomtone/kitchen/episode", True))
        assert topics.index(("roomtone/kitchen/info", False)) > last_end, "cleared after that"
    assert not [topic for topic in retained_topics(broker.port) if "kitchen" in topic]


class CutsTheFirstClear(Relay):
    """Ends the first connection on which a message about the kitchen is sent."""

    cut = False

    def request(self, data, number, client):
        if self.cut or b"roomtone/kitchen/info" not in data:
            return True
        self.cut = True
        return False


def test_a_new_id_takes_the_old_one_away_when_the_connection_is_cut_off_meanwhile(tmp_path, broker):
    where = f"runtime.socket={tmp_path}/link.sock"
    with LinkProcess(tmp_path, broker.port, settings=(where,)) as link:
        until(lambda: "connected" in link.codes)
        link.stop()
    assert TOPIC in retained_topics(broker.port)
    with (
        CutsTheFirstClear(broker) as relay,
        LinkProcess(tmp_path, relay.port, node="study", settings=(where,)) as link,
    ):
        until(lambda: relay.cut)
        until(lambda: link.codes.count("connected") == 2)
        link.stop()
    assert not [topic for topic in retained_topics(broker.port) if "kitchen" in topic]


def test_a_room_with_another_name_keeps_its_entities(tmp_path, broker, home):
    names = []
    for name in ("Kitchen", "Dining room"):
        with LinkProcess(tmp_path, broker.port, settings=(f"node.name={name}",)) as link:
            until(lambda name=name: announced(home) and announced(home)["device"]["name"] == name)
            names.append([part.get("unique_id") for part in announced(home)["components"].values()])
            link.stop()
    assert names[0] == names[1]


def test_without_discovery_nothing_is_announced_and_what_was_is_taken_away(tmp_path, broker):
    with LinkProcess(tmp_path, broker.port) as link:
        until(lambda: "connected" in link.codes)
        link.stop()
    assert TOPIC in retained_topics(broker.port)
    with LinkProcess(tmp_path, broker.port, settings=("homeassistant.discovery=false",)) as link:
        until(lambda: "renamed" in link.codes)
        link.stop()
    assert TOPIC not in retained_topics(broker.port)
