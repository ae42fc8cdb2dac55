"""Who may do what at the broker of a site: the roles, and a stolen device that tries all it can."""

import json
import re
import time
from unittest.mock import MagicMock

import pytest

from edge.cli.main import main
from edge.config.settings import Config
from edge.link.command_handlers import CommandHandlers
from edge.protocol import json_schema, topics
from edge.protocol.homeassistant_discovery import SUPPORT_URL, AnnouncedDevice, announcement
from provisioning.fleet.dynamic_security import rights_file
from provisioning.fleet.rights import FLEET_CLIENT
from provisioning.fleet.site import TEMPLATE
from tests.conftest import ROOT
from tests.support.link import EarClient
from tests.support.messages import utterance
from tests.support.site.fleet import Client
from tests.support.waiting import until

ROOM = "roomtone/kitchen"


def test_a_stolen_device_writes_the_topics_of_the_protocol_and_nothing_else(thief):
    own = [f"roomtone/study/{topic.leaf}" for topic in topics.TOPICS]
    own += [f"roomtone/study/resp/{verb}" for verb in topics.VERBS]
    assert {topic: thief.publish(topic) < 0x80 for topic in own} == dict.fromkeys(own, True)
    others = [
        f"{ROOM}/event", f"{ROOM}/availability", f"{ROOM}/info", f"{ROOM}/cmd/mute", f"{ROOM}/resp/mute",
        "roomtone/study", "roomtone/study/x", "roomtone/study/event/x", "roomtone/study/resp/x",
        "roomtone/study/cmd/mute", "homeassistant/device/study/config", "homeassistant/device/kitchen/config",
        "homeassistant/sensor/x/config", "homeassistant/status", "roomtone/fleet/announce", "roomtone",
        "roomtone/studyx", "study/event", "anything", "$SYS/x",
    ]  # fmt: skip
    assert {topic: thief.publish(topic, retain=True) for topic in others} == dict.fromkeys(others, 0x87)


def test_the_rights_name_every_topic_of_a_device_and_no_wildcard_to_write():
    tree = json.loads(rights_file("b", "ha", [("n", "device")], "g"))
    (rules,) = (role["acls"] for role in tree["roles"] if role["rolename"] == "n")
    may = {rule["topic"] for rule in rules if rule["acltype"] == "publishClientSend"}
    assert may == {f"b/n/{topic.leaf}" for topic in topics.TOPICS} | {f"b/n/resp/{v}" for v in topics.VERBS}
    assert not [topic for topic in may if {"+", "#"} & set(topic)]
    assert not [rule for rule in rules if rule["topic"].startswith("ha/")]
    assert tree["defaultACLAccess"]["publishClientSend"] is False


def test_what_a_device_can_have_retained_is_counted_from_the_protocol(site, thief):
    """mosquitto has no limit on retained messages: the topics that a device may write are the limit."""
    allowed = [f"roomtone/study/{topic.leaf}" for topic in topics.TOPICS]
    allowed += [f"roomtone/study/resp/{verb}" for verb in topics.VERBS]
    invented = [f"roomtone/study/{part}{n}" for n in range(100) for part in ("", "event/", "resp/", "cmd/")]
    answers = {topic: thief.publish(topic, retain=True) < 0x80 for topic in (*allowed, *invented)}
    assert answers == dict.fromkeys(allowed, True) | dict.fromkeys(invented, False)
    with Client(site.port, site.folder / "operator-me") as reader:
        reader.subscribe("roomtone/study/#")
        until(lambda: set(allowed) <= reader.topics())
        assert sorted(message.topic for message in reader.messages) == sorted(allowed)
    for topic in allowed:
        thief.publish(topic, "", retain=True)


def test_the_page_states_how_much_a_device_can_have_retained():
    count = len(topics.TOPICS) + len(topics.VERBS)
    kib = int(re.findall(r"^max_packet_size (\d+)$", TEMPLATE.read_text(), re.MULTILINE)[0]) // 1024
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    assert f"{count} topics of at most {kib} KiB, {count * kib} KiB retained" in " ".join(page.split())


@pytest.mark.parametrize("role", ["subscriber", "recorder", "operator"])
def test_a_client_commands_enrolled_devices_only(site, role):
    """Commands can be retained, too: one for each name or verb that a client can invent would fill the broker."""
    with Client(site.port, site.folder / f"{role}-me") as client:
        assert client.publish("roomtone/study/cmd/replay", '{"transaction": "1"}') < 0x80
        invented = [f"roomtone/invented{n}/cmd/{verb}" for n in range(20) for verb in topics.VERBS]
        invented += [f"roomtone/study/cmd/{name}" for name in ("invented", "mute/x", "", "MUTE", "mute ")]
        assert {client.publish(topic, retain=True) for topic in invented} == {0x87}


def test_what_all_clients_together_can_have_retained_is_counted():
    """No wildcard to write: what is retained at a site has a bound, whoever is robbed of a certificate."""
    roles = ("subscriber", "recorder", "operator")
    devices = ("kitchen", "study")
    tree = json.loads(
        rights_file("b", "ha", [*((d, "device") for d in devices), *((f"{r}.x", r) for r in roles)], "g")
    )
    written = {
        rule["topic"]
        for role in tree["roles"]
        for rule in role["acls"]
        if rule["acltype"] == "publishClientSend" and role["rolename"] != FLEET_CLIENT
    }
    assert not [topic for topic in written if {"+", "#"} & set(topic)]
    of_devices = {topic for topic in written if topic.split("/")[1] in devices}
    counts = len(of_devices) // len(devices), len(written - of_devices)
    kib = int(re.findall(r"^max_packet_size (\d+)$", TEMPLATE.read_text(), re.MULTILINE)[0]) // 1024
    page = " ".join((ROOT / "docs" / "fleet.md").read_text(encoding="utf-8").split())
    stated = "at most {} topics a device and {} of the site, of {} KiB each, {} KiB for each device"
    assert stated.format(*counts, kib, counts[0] * kib) in page


@pytest.mark.parametrize("role", ["device", "subscriber", "recorder", "operator"])
def test_no_client_reaches_what_controls_the_broker(site, role):
    """The plug-in of the rights takes commands on a topic: who may write there has every right."""
    place = site.folder / ("device-study" if role == "device" else f"{role}-me")
    command = json.dumps({"commands": [{"command": "setDefaultACLAccess", "acls": []}]})
    with Client(site.port, place) as client:
        for topic in ("$CONTROL/dynamic-security/v1", "$CONTROL/x", "$SYS/broker/uptime", "$share/g/x"):
            assert client.publish(topic, command) >= 0x80, topic


def test_the_verbs_are_those_that_the_link_handles_and_the_page_describes():
    assert {verb for verb, _ in json_schema.VERBS} == set(topics.VERBS)
    handlers = CommandHandlers(Config(), MagicMock(), MagicMock(), MagicMock())
    assert set(handlers.table) == set(topics.VERBS)


WILDCARDS = (
    "#", "+/+/+", "roomtone/#", "roomtone/+/event", "roomtone/+/cmd/+", "homeassistant/#", "$SYS/#", "$CONTROL/#",
    "$share/g/#", "$share/g/roomtone/+/event", "roomtone/study/#",
)  # fmt: skip
OTHERS = (
    f"{ROOM}/event",
    f"{ROOM}/cmd/+",
    f"{ROOM}/cmd/mute",
    f"{ROOM}/availability",
    "homeassistant/device/kitchen/config",
    "homeassistant/status",
    # A session may have as many subscriptions as it likes, and keeps them: only those of the protocol.
    "roomtone/study/cmd/mute",
    "roomtone/study/cmd/invented",
)
OWN = ("roomtone/study/cmd/+", "roomtone/study/availability", "roomtone/fleet/announce")


def test_a_stolen_device_is_refused_every_subscription_but_its_own(thief):
    codes = {topic: thief.subscribe(topic) for topic in (*WILDCARDS, *OTHERS, *OWN)}
    assert codes == dict.fromkeys((*WILDCARDS, *OTHERS), 0x87) | dict.fromkeys(OWN, 1)
    # Refused is not said only: a retained message of another does not come.
    assert thief.messages == []


@pytest.mark.parametrize("role", ["subscriber", "recorder", "operator"])
def test_whoever_is_no_device_subscribes_with_wildcards(site, role):
    with Client(site.port, site.folder / f"{role}-me") as client:
        assert {topic: client.subscribe(topic) for topic in WILDCARDS} == dict.fromkeys(WILDCARDS, 1)


def test_a_device_that_the_broker_does_not_know_yet_is_refused_everything(site, monkeypatch):
    """Its certificate is issued, and the broker was not given the rights: from its first connection on."""
    with monkeypatch.context() as patched:
        patched.setattr("provisioning.fleet.deployment.BROKER_FILES", ())
        patched.setattr("provisioning.fleet.proof.TIMEOUT_S", 0.0)
        joined = site.folder / "early.join"
        assert (
            main(["fleet", "--site", str(site.folder / "site"), "enrol", "early", "--out", str(joined)]) == 3
        )
    site.unpack(joined, site.folder / "early")
    with Client(site.port, site.folder / "early") as early:
        asked = (*WILDCARDS, *OTHERS, "roomtone/early/cmd/+")
        assert {topic: early.subscribe(topic) for topic in asked} == dict.fromkeys(asked, 0x87)
        assert early.publish("roomtone/early/event") == 0x87
    site.fleet("enrol", "early")
    with Client(site.port, site.folder / "early") as early:
        assert early.subscribe("roomtone/early/cmd/+") == 1
        assert early.subscribe("#") == 0x87


def test_home_assistant_hears_of_a_device_from_the_site_and_never_from_the_device(site, thief):
    """Enrolled names alone make the message; a revoked device's entities are removed."""
    site.fleet("enrol", "guest")
    with Client(site.port, site.folder / "operator-me") as home:
        home.subscribe("homeassistant/#")
        until(
            lambda: (
                {f"homeassistant/device/{n}/config" for n in ("kitchen", "study", "guest")} <= home.topics()
            )
        )
        found = {m.topic: json.loads(m.payload) for m in home.messages}
        tree = found["homeassistant/device/study/config"]
        assert all(m.retain for m in home.messages)
    device = AnnouncedDevice(base_topic="roomtone", id="study", name="", updates=False)
    assert tree == json.loads(announcement(device))
    # No address of the device's own making: only where the integration is documented.
    assert re.findall(r"https?://[^\"]+", json.dumps(tree)) == [SUPPORT_URL]
    site.fleet("revoke", "guest")
    with Client(site.port, site.folder / "operator-me") as home:
        home.subscribe("homeassistant/#")
        until(lambda: "homeassistant/device/study/config" in home.topics())
        assert "homeassistant/device/guest/config" not in home.topics()


def test_a_client_that_is_connected_receives_the_removal_before_the_broker_restarts(site):
    """Afterwards it is away for some seconds, and a removal is not retained."""
    site.fleet("enrol", "visitor")
    topic = "homeassistant/device/visitor/config"
    with Client(site.port, site.folder / "operator-me") as home:
        home.subscribe(topic)
        until(lambda: home.topics() == {topic})
        site.fleet("revoke", "visitor")
        assert home.disconnected.wait(20)
        assert [message.payload for message in home.messages][-1] == b""


def test_a_stolen_device_commands_nobody(thief, kitchen):
    with EarClient(kitchen.socket) as ear:
        until(lambda: "ear_connected" in kitchen.codes)
        for verb in ("mute", "restart", "level_on", "replay"):
            assert thief.publish(f"{ROOM}/cmd/{verb}", '{"transaction": "1"}') == 0x87
        time.sleep(0.3)
        assert ear.commands == []
    assert "command" not in kitchen.codes


RIGHTS = {
    "subscriber": {f"{ROOM}/cmd/replay", f"{ROOM}/cmd/level_on"},
    "recorder": {f"{ROOM}/cmd/replay"},
    "operator": {
        f"{ROOM}/cmd/replay", f"{ROOM}/cmd/level_on", f"{ROOM}/cmd/mute", f"{ROOM}/cmd/restart",
        "roomtone/fleet/announce", "homeassistant/status",
    },
}  # fmt: skip


@pytest.mark.parametrize("role", RIGHTS)
def test_each_role_writes_what_it_needs(site, role):
    with Client(site.port, site.folder / f"{role}-me") as client:
        topics = set.union(*RIGHTS.values()) | {
            f"{ROOM}/event",
            f"{ROOM}/availability",
            "homeassistant/device/kitchen/config",
        }
        topics |= {f"roomtone/{role}.me/event", f"homeassistant/device/{role}.me/config"}
        assert {topic for topic in topics if client.publish(topic) < 0x80} == RIGHTS[role]


def test_each_role_reads_what_it_needs(site, kitchen):
    clients = {role: Client(site.port, site.folder / f"{role}-me") for role in RIGHTS}
    for client in clients.values():
        client.subscribe("roomtone/#")
    with EarClient(kitchen.socket) as ear:
        ear.tell(utterance(1))
        clients["operator"].publish(f"{ROOM}/cmd/identify", '{"transaction": "1"}')
        leaves = ("availability", "event", "info", "mic", "state", "resp/identify")
        wanted = {
            "subscriber": set(leaves),
            "recorder": {"availability", "event", "info"},
            "operator": {*leaves, "cmd/identify"},
        }
        for role, leaves in wanted.items():
            until(lambda: {f"{ROOM}/{leaf}" for leaf in leaves} <= clients[role].topics(), what=role)  # noqa: B023
    mine = {topic for topic in clients["recorder"].topics() if topic.startswith(ROOM)}
    # A replay that an earlier test requested may be answered now.
    assert mine - {f"{ROOM}/resp/replay"} == {f"{ROOM}/{leaf}" for leaf in wanted["recorder"]}
    for client in clients.values():
        client.close()
