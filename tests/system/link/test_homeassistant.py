"""Home Assistant's side, as its documentation describes it: templates rendered with Jinja as it does."""

import json
import time
from datetime import UTC, datetime

import jinja2
import pytest

from edge.protocol import MicSignal, Mute, Unmute
from tests.support.link import EarClient, LinkProcess, Subscriber
from tests.support.messages import utterance
from tests.support.waiting import until

TOPIC = "homeassistant/device/kitchen/config"


@pytest.fixture
def home(broker):
    with Subscriber(broker.port, topics="#") as client:
        yield client


def announced(home, topic=TOPIC):
    found = [m for m in home.messages if m.topic == topic]
    return json.loads(found[-1].payload) if found and found[-1].payload else None


def render(template, payload):
    """The variables that Home Assistant offers to a value template."""
    try:
        tree = json.loads(payload)
    except ValueError:
        tree = None
    return (
        jinja2.Environment()
        .from_string(template)
        .render(value=payload, value_json=tree, now=lambda: datetime.now(UTC))
    )


def test_one_retained_message_announces_all_entities(home, link):
    until(lambda: announced(home))
    message = next(m for m in home.messages if m.topic == TOPIC)
    assert message.qos == 1
    assert len(message.payload) < 4000
    with_retained = Subscriber(link_port(home), topics=TOPIC)
    until(lambda: with_retained.messages)
    assert with_retained.messages[0].retain
    with_retained.close()
    tree = announced(home)
    parts = tree["components"]
    assert {key: part["platform"] for key, part in parts.items()} == {
        "emotion": "sensor",
        "confidence": "sensor",
        "utterance": "event",
        "microphone": "binary_sensor",
        "mute": "switch",
        "restart": "button",
    }
    assert tree["device"]["identifiers"] == ["roomtone_kitchen"]
    assert tree["availability_mode"] == "all"
    assert all(part["unique_id"] == f"roomtone_kitchen_{key}" for key, part in parts.items())
    assert parts["emotion"]["expire_after"] > 60


def link_port(home):
    return home._client._port


def test_every_state_topic_and_template_gives_a_state_that_the_entity_knows(home, ear):
    until(lambda: announced(home))
    ear.tell(utterance(1))
    until(lambda: home.of("event") and home.of("state"))
    for key, part in announced(home)["components"].items():
        if "state_topic" not in part:
            continue
        payload = next(m.payload.decode() for m in reversed(home.messages) if m.topic == part["state_topic"])
        value = render(part.get("value_template", "{{ value }}"), payload)
        if key == "emotion":
            assert value in part["options"]
        elif key == "confidence":
            assert 0 <= float(value) <= 100
        elif key == "utterance":
            assert json.loads(value)["event_type"] in part["event_types"]
        else:
            assert value == "OFF"
        for availability in part.get("availability", []):
            said = next(
                m.payload.decode() for m in reversed(home.messages) if m.topic == availability["topic"]
            )
            assert render(availability.get("value_template", "{{ value }}"), said) == "online"


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
    count = len(home.messages)
    home.publish("homeassistant/status", "offline")
    time.sleep(0.5)
    assert [m.topic for m in home.messages[count:]] == ["homeassistant/status"]


def retained_topics(port):
    with Subscriber(port, topics="#") as newcomer:
        time.sleep(0.5)
        return {m.topic for m in newcomer.messages if m.retain}


def test_a_device_with_a_new_id_takes_the_old_one_away(tmp_path, broker):
    socket = f"runtime.socket={tmp_path}/link.sock"
    with LinkProcess(tmp_path, broker.port, settings=(socket, "state.retain=true")) as link:
        with EarClient(tmp_path / "link.sock") as ear:
            ear.tell(utterance(1))
            until(lambda: ear.acks, 20)
        link.stop()
    assert {"roomtone/kitchen/state", TOPIC} <= retained_topics(broker.port)
    with LinkProcess(tmp_path, broker.port, node="study", settings=(socket,)) as link:
        until(lambda: "renamed" in link.codes)
        link.stop()
    left = retained_topics(broker.port)
    assert not [topic for topic in left if "kitchen" in topic]
    assert "homeassistant/device/study/config" in left


def test_a_room_with_another_name_keeps_its_entities(tmp_path, broker, home):
    names = []
    for name in ("Kitchen", "Dining room"):
        with LinkProcess(tmp_path, broker.port, settings=(f"node.name={name}",)) as link:
            until(lambda name=name: announced(home) and announced(home)["device"]["name"] == name)
            names.append([part["unique_id"] for part in announced(home)["components"].values()])
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
