"""Automations in a real Home Assistant: they fire for what happens now, and for nothing else."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

from edge.protocol import MicSignal, Mute, SpeechSignal, Unmute, encode
from tests.conftest import ROOT
from tests.support.messages import event_of
from tests.support.process import RoomtoneProcess
from tests.support.waiting import until

pytestmark = pytest.mark.long

SUBSCRIBED = "roomtone/kitchen/event (QoS"
"""What the broker logs when a client subscribes to the events."""


def automation(home, name, trigger, helper):
    """An automation that counts how often a device trigger fires, in its `last_triggered`."""
    return {
        "id": name,
        "alias": name,
        "triggers": [{**trigger, "trigger": "device"}],
        "actions": [{"action": "input_boolean.turn_on", "target": {"entity_id": f"input_boolean.{helper}"}}],
    }


@pytest.fixture
def sad(home, link):
    """The helper that an automation switches on when the kitchen sounds sad."""
    found = next(one for one in home.triggers("kitchen") if one["type"] == "sounds sad")
    trigger = {key: found[key] for key in ("domain", "device_id", "type", "subtype")}
    (home.folder / "automations.yaml").write_text(json.dumps([automation(home, "sad", trigger, "sad")]))
    home.call("automation.reload")
    home.call("input_boolean.turn_off", entity_id="input_boolean.sad")
    until(lambda: home.state("automation.sad") == "on")
    yield "input_boolean.sad"
    (home.folder / "automations.yaml").write_text("[]")
    home.call("automation.reload")


def received(subscriber):
    return [json.loads(message.payload) for message in subscriber.of("event")]


def test_a_trigger_fires_for_what_is_said_now_alone(home, link, ear, sad, subscriber):
    utterance = home.entity_id("kitchen", "utterance")
    before = home.state(utterance)
    ear.report("sad", age_s=120)  # the ear could not hand it over before
    until(lambda: received(subscriber))
    old = received(subscriber)[0]
    ear.report("neutral")
    until(lambda: home.state(utterance) not in (before, "unavailable"))
    before = home.state(utterance)
    for age_s in (61, 3600, 86_400, -3600):
        published = event_of("sad", time.time() - age_s - 3)
        subscriber.publish("roomtone/kitchen/event", encode(published))
    transaction = subscriber.command("replay", boot=old["boot"], from_seq=old["seq"], to_seq=old["seq"])
    assert subscriber.answer("replay", transaction).ok
    until(lambda: len(received(subscriber)) >= 7)
    time.sleep(3)
    assert (home.state(utterance), home.state(sad)) == (before, "off")
    ear.report("sad")
    until(lambda: home.state(sad) == "on")
    assert home.state(utterance) > before


def test_the_same_utterance_twice_is_one(home, link, ear, subscriber):
    utterance = home.entity_id("kitchen", "utterance")
    before = home.state(utterance)
    ear.report("happy")
    until(lambda: home.state(utterance) not in (before, "unavailable"))
    before = home.state(utterance)
    said = received(subscriber)[-1]
    transaction = subscriber.command("replay", boot=said["boot"], from_seq=said["seq"])
    assert subscriber.answer("replay", transaction).ok
    until(lambda: len(received(subscriber)) == 2)
    time.sleep(2)
    assert home.state(utterance) == before


def test_an_outage_of_the_broker_fires_nothing(home, link, ear, sad, broker):
    broker.stop()
    until(lambda: home.shown("emotion") == "unavailable")
    for _ in range(5):
        ear.report("sad", age_s=100)
    until(lambda: len(ear.acks) == 5)
    before = home.log.count('"event_type":"sad"'), broker.log.count(SUBSCRIBED)
    # Home Assistant, whose session begins anew, has to be back first: what comes before, it never receives.
    link.process.send_signal(signal.SIGSTOP)
    broker.start()
    until(lambda: broker.log.count(SUBSCRIBED) > before[1], 90)
    link.process.send_signal(signal.SIGCONT)
    until(lambda: home.log.count('"event_type":"sad"') >= before[0] + 5, 90)
    until(lambda: home.shown("emotion") == "uncertain", 90)
    time.sleep(3)
    assert home.state(sad) == "off"
    ear.report("sad")
    until(lambda: home.state(sad) == "on", 60)


def test_a_recorder_that_starts_beside_it_fires_nothing(home, link, ear, sad, broker, subscriber, folder):
    """It asks for what it has missed, and the device publishes that again."""
    for _ in range(5):
        ear.report("sad", age_s=90)
    until(lambda: len(ear.acks) == 5)
    words = ("recorder", "--broker", broker.url, "--database", f"sqlite:///{folder}/events.db")
    with RoomtoneProcess(folder, *words):
        ear.report("neutral")
        until(lambda: [m for m in subscriber.messages if m.topic == "roomtone/kitchen/cmd/replay"], 60)
        until(lambda: len(received(subscriber)) > 6, 60)
        time.sleep(3)
    assert home.state(sad) == "off"


def test_a_start_of_home_assistant_fires_no_speech(home, link, ear, subscriber):
    """What the device repeats for those who have just started is no change."""
    ear.say(SpeechSignal(True))
    ear.say(SpeechSignal(False))
    until(lambda: len(subscriber.of("speech")) >= 2)
    found = [one for one in home.triggers("kitchen") if one["subtype"] == "speech"]
    (home.folder / "automations.yaml").write_text(
        json.dumps(
            [
                automation(
                    home,
                    one["type"],
                    {k: one[k] for k in ("domain", "device_id", "type", "subtype")},
                    "trigger",
                )
                for one in found
            ]
        )
    )
    home.call("automation.reload")
    home.call("input_boolean.turn_off", entity_id="input_boolean.trigger")
    count = len(subscriber.of("speech"))
    subscriber.publish(home.status_topic, "online")
    until(lambda: len(subscriber.of("speech")) > count, 20)
    time.sleep(2)
    assert home.state("input_boolean.trigger") == "off"
    ear.say(SpeechSignal(True))
    until(lambda: home.state("input_boolean.trigger") == "on")
    (home.folder / "automations.yaml").write_text("[]")
    home.call("automation.reload")


def blueprints():
    page = (ROOT / "docs" / "homeassistant.md").read_text(encoding="utf-8")
    found = re.findall(r"^```yaml\n(blueprint:.*?)^```", page, re.MULTILINE | re.DOTALL)
    return {re.search(r"^  name: (.+)$", text, re.MULTILINE)[1]: text for text in found}


def turn_on(helper):
    return [{"action": "input_boolean.turn_on", "target": {"entity_id": f"input_boolean.{helper}"}}]


def test_each_blueprint_of_the_documentation_fires(home, link, ear):
    folder = home.folder / "blueprints" / "automation" / "roomtone"
    folder.mkdir(parents=True, exist_ok=True)
    room = home.device("kitchen")["id"]
    inputs = {
        "A room sounds angry": {"room": room, "actions": turn_on("angry")},
        "A room is agitated": {"room": room, "begin": turn_on("began"), "end": turn_on("ended")},
        "There is speech in a room": {"room": room, "begin": turn_on("began"), "end": turn_on("ended")},
        "A microphone is lost": {
            "microphone": home.entity_id("kitchen", "microphone"), "minutes": 0, "actions": turn_on("lost"),
        },
        "Mute a room while something is on": {
            "reason": "input_boolean.reason", "mute": home.entity_id("kitchen", "mute"),
        },
    }  # fmt: skip
    assert set(inputs) == set(blueprints())
    automations = []
    for number, (name, text) in enumerate(blueprints().items()):
        (folder / f"{number}.yaml").write_text(text)
        path = f"roomtone/{number}.yaml"
        automations.append(
            {"id": name, "alias": name, "use_blueprint": {"path": path, "input": inputs[name]}}
        )
    (home.folder / "automations.yaml").write_text(json.dumps(automations))
    home.call("automation.reload")

    def helper(name):
        return home.state(f"input_boolean.{name}")

    def reset():
        for name in ("began", "ended", "angry", "lost", "reason"):
            home.call("input_boolean.turn_off", entity_id=f"input_boolean.{name}")

    reset()
    ear.say(SpeechSignal(True))
    until(lambda: helper("began") == "on")
    assert helper("ended") == "off"
    ear.say(SpeechSignal(False))
    until(lambda: helper("ended") == "on")
    reset()
    for _ in range(8):
        ear.report()
    until(lambda: helper("angry") == helper("began") == "on")
    for _ in range(12):
        ear.report("neutral", arousal=-0.5)
    until(lambda: helper("ended") == "on")
    ear.say(MicSignal("lost"))
    until(lambda: helper("lost") == "on")
    home.call("input_boolean.turn_on", entity_id="input_boolean.reason")
    until(lambda: Mute() in ear.commands)
    ear.say(MicSignal("muted", ("remote",)))
    home.call("input_boolean.turn_off", entity_id="input_boolean.reason")
    until(lambda: Unmute() in ear.commands)
    (home.folder / "automations.yaml").write_text("[]")
    home.call("automation.reload")
