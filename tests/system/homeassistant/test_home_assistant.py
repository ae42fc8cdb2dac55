"""A real Home Assistant and a room: what it shows, what fires, and that it never complains."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import msgspec
import pytest

from edge.protocol import (
    EarHealth,
    HealthReport,
    MicSignal,
    Mute,
    Restart,
    SpeechSignal,
    Unmute,
)
from edge.util.version import VERSION
from tests.support.link import EarClient, LinkProcess
from tests.support.waiting import until

pytestmark = pytest.mark.long

DISABLED = {"clock", "certificate", "temperature", "drops"}
HEALTH = EarHealth(
    frames=1, overruns=0, utterances=1, inference_p50_ms=9, inference_p95_ms=12, rss_mb=70, dropped=0,
    level_dbfs=-48,
)  # fmt: skip


def test_a_room_is_a_device_with_its_entities_and_triggers(home, link, ear):
    ear.say(HealthReport(HEALTH))
    device = home.device("kitchen")
    assert {key: device[key] for key in ("name", "manufacturer", "model", "sw_version")} == {
        "name": "Kitchen", "manufacturer": "Roomtone", "model": "Roomtone room device", "sw_version": VERSION,
    }  # fmt: skip
    areas = {area["area_id"]: area["name"] for area in home.ask("config/area_registry/list")}
    assert areas[device["area_id"]] == "Kitchen"
    registered = {
        entry["unique_id"].removeprefix("roomtone_kitchen_"): entry
        for entry in home.ask("config/entity_registry/list")
        if entry["unique_id"].startswith("roomtone_kitchen_")
    }
    assert {key for key, entry in registered.items() if entry["disabled_by"]} == DISABLED
    assert len(registered) == 18
    triggers = {f"{one['subtype']} {one['type']}" for one in home.triggers("kitchen")}
    assert triggers == {
        *(f"room sounds {label}" for label in ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")),
        "room is agitated", "room is no longer agitated", "speech started", "speech ended",
    }  # fmt: skip


def test_what_is_said_is_shown(home, link, ear):
    until(lambda: home.shown("neural_model").startswith("base-"))
    before = home.shown("utterance")
    for _ in range(8):
        ear.report()
    until(lambda: home.shown("emotion") == "angry")
    assert float(home.shown("confidence")) > 30
    until(lambda: home.shown("agitated") == "on")
    assert float(home.shown("arousal")) > 0.4
    until(lambda: home.shown("utterance") != before)
    attributes = home.entity(home.entity_id("kitchen", "utterance"))["attributes"]
    assert attributes["event_type"] == "angry" and attributes["confidence"] == 0.7
    heard = datetime.fromisoformat(home.shown("last_heard")).timestamp()
    assert heard == pytest.approx(time.time(), abs=60)
    ear.say(SpeechSignal(True))
    until(lambda: home.shown("speech") == "on")
    ear.say(SpeechSignal(False))
    until(lambda: home.shown("speech") == "off")
    ear.say(HealthReport(HEALTH))
    until(lambda: home.shown("level") == "-48", 70)


def test_a_new_and_a_muted_room_are_uncertain_and_stay_available(home, link, ear):
    until(lambda: home.shown("emotion") == "uncertain")
    assert home.shown("confidence") == "0"
    ear.say(MicSignal("muted", ("remote",)))
    until(lambda: home.shown("mute") == "on")
    end = time.monotonic() + 200  # longer than the state is valid
    while time.monotonic() < end:
        assert home.shown("emotion") == "uncertain"
        time.sleep(2)
    assert home.shown("microphone") == "off"


def test_the_switch_says_who_has_muted(home, link, ear):
    mute = home.entity_id("kitchen", "mute")
    for _ in range(2):  # twice the same within ten seconds is no repetition
        home.call("switch.turn_on", entity_id=mute)
        until(lambda: ear.commands and ear.commands[-1] == Mute())
        ear.say(MicSignal("muted", ("remote",)))
        until(lambda: home.state(mute) == "on")
        until(lambda: home.entity(mute)["attributes"].get("muted_by") == ["remote"])
        home.call("switch.turn_off", entity_id=mute)
        until(lambda: ear.commands[-1] == Unmute())
        ear.say(MicSignal("ok"))
        until(lambda: home.state(mute) == "off")
    ear.say(MicSignal("muted", ("device",)))
    home.call("switch.turn_off", entity_id=mute)
    until(lambda: home.state(mute) == "on")
    assert home.entity(mute)["attributes"]["muted_by"] == ["device"]


def test_the_buttons_reach_the_device(home, link, ear):
    home.call("button.press", entity_id=home.entity_id("kitchen", "restart"))
    until(lambda: Restart() in ear.commands)
    home.call("button.press", entity_id=home.entity_id("kitchen", "identify"))
    until(lambda: "identify" in link.codes)


class Watch:
    """Every state that the entities of a room had, as often as it can be asked."""

    def __init__(self, home, *keys):
        self._home = home
        self._ids = {key: home.entity_id("kitchen", key) for key in keys}
        self.seen = {key: set() for key in keys}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._over.wait(0.1):
            for key, entity in self._ids.items():
                self.seen[key].add(self._home.state(entity))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("muted", [False, True], ids=["hearing", "muted"])
def test_nothing_flaps_when_the_ear_is_restarted(home, link, ear, muted):
    reasons = ("remote",) if muted else ()
    ear.say(MicSignal("muted" if muted else "ok", reasons))
    expected = {"mute": "on" if muted else "off", "microphone": "off", "emotion": "uncertain"}
    for key, state in expected.items():
        until(lambda key=key, state=state: home.shown(key) == state)
    with Watch(home, *expected) as watch:
        ear.close()
        time.sleep(4)
        with EarClient(link.socket, greet=False) as again:
            again.say(MicSignal("starting", reasons))
            time.sleep(1)
            again.say(MicSignal("muted" if muted else "ok", reasons))
            time.sleep(2)
    assert watch.seen == {key: {state} for key, state in expected.items()}


def test_a_microphone_that_is_lost_is_a_problem(home, link, ear):
    ear.say(MicSignal("lost"))
    until(lambda: home.shown("microphone") == "on")
    until(lambda: home.shown("emotion") == "unavailable")
    ear.say(MicSignal("ok"))
    until(lambda: home.shown("emotion") == "uncertain", 70)


def test_a_renamed_room_keeps_its_entities_and_a_removed_one_goes(home, broker, folder):
    ids = []
    for name in ("Kitchen", "Dining room"):
        settings = (f"node.name={name}", *home.link_settings)
        with LinkProcess(folder, broker.port, node="diner", settings=settings) as link:
            until(lambda name=name: (home.device("diner") or {}).get("name") == name)
            ids.append(home.entity_id("diner", "emotion"))
            link.stop()
    assert ids[0] == ids[1] != ""
    gone = (*home.link_settings, "homeassistant.discovery=false")
    with LinkProcess(folder, broker.port, node="diner", settings=gone) as link:
        until(lambda: home.device("diner") is None)
        link.stop()


def test_a_second_site_with_another_base_topic_is_beside_the_first(home, link, broker, folder):
    settings = (*home.link_settings, "node.base_topic=house/two", f"runtime.socket={folder}/two.sock")
    second = folder / "two"
    second.mkdir()
    with LinkProcess(second, broker.port, node="attic", settings=settings) as other:
        until(lambda: home.device("attic"))
        with EarClient(folder / "two.sock") as ear:
            until(lambda: home.shown("emotion", "attic") == "uncertain")
            for _ in range(8):
                ear.report("happy")
            until(lambda: home.shown("emotion", "attic") == "happy")
        other.stop()
    gone = (*settings, "homeassistant.discovery=false")
    with LinkProcess(second, broker.port, node="attic", settings=gone) as other:
        until(lambda: home.device("attic") is None)
        other.stop()


def test_a_restarted_link_comes_back(home, link, ear):
    until(lambda: home.shown("emotion") == "uncertain")
    link.stop()
    until(lambda: home.shown("emotion") == "unavailable")
    link.start()
    with EarClient(link.socket):
        until(lambda: home.shown("emotion") == "uncertain")


def test_messages_are_as_the_schemas_say(subscriber, link, ear):
    """What was tested here is what the page on MQTT describes."""
    ear.report()
    until(lambda: subscriber.of("state"))
    assert msgspec.json.decode(subscriber.last("state").encode())["emotion"]
