"""Who may do what at the broker of a site: the roles, and a stolen device that tries all it can."""

import time

import pytest

from tests.support.link import EarClient
from tests.support.messages import event
from tests.support.site.fleet import Client
from tests.support.waiting import until

ROOM = "roomtone/kitchen"


def test_a_stolen_device_writes_what_is_its_own_and_nothing_else(thief):
    own = ["roomtone/study/event", "roomtone/study/availability", "homeassistant/device/study/config"]
    assert [thief.publish(topic) < 0x80 for topic in own] == [True] * 3
    others = [
        f"{ROOM}/event", f"{ROOM}/availability", f"{ROOM}/info", f"{ROOM}/cmd/mute", f"{ROOM}/resp/mute",
        "homeassistant/device/kitchen/config", "homeassistant/sensor/x/config", "homeassistant/status",
        "roomtone/fleet/announce", "roomtone", "roomtone/studyx", "study/event", "anything", "$SYS/x",
    ]  # fmt: skip
    assert {topic: thief.publish(topic, retain=True) for topic in others} == dict.fromkeys(others, 0x87)


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
)
OWN = ("roomtone/study/cmd/+", "roomtone/study/cmd/mute", "roomtone/fleet/announce", "homeassistant/status")


def test_a_stolen_device_is_refused_every_subscription_but_its_own(thief):
    codes = {topic: thief.subscribe(topic) for topic in (*WILDCARDS, *OTHERS, *OWN)}
    assert codes == dict.fromkeys((*WILDCARDS, *OTHERS), 0x87) | dict.fromkeys(OWN, 1)
    # Refused is not said only: a retained message of another does not come.
    assert thief.messages == []


@pytest.mark.parametrize("role", ["subscriber", "recorder", "operator"])
def test_whoever_is_no_device_subscribes_with_wildcards(site, role):
    with Client(site.port, site.folder / f"{role}-me") as client:
        assert {topic: client.subscribe(topic) for topic in WILDCARDS} == dict.fromkeys(WILDCARDS, 1)


@pytest.mark.parametrize("topic", ["#", "roomtone/+/event", f"{ROOM}/event", f"{ROOM}/cmd/+"])
def test_nothing_of_others_reaches_a_device_that_the_broker_has_not_heard_of_yet(
    site, kitchen, operator, topic
):
    """Enrolled, and the broker not started anew since: it grants the subscription, and delivers what is allowed."""
    node = f"new{len(list(site.folder.glob('*.join')))}"
    with Client(site.port, site.join(node)) as new:
        assert new.subscribe(topic) == 1
        operator.subscribe("roomtone/#")
        with EarClient(kitchen.socket) as ear:
            told = ear.tell(event(1))
            operator.publish(f"{ROOM}/cmd/identify", '{"transaction": "1"}')
            until(lambda: {f"{ROOM}/event", f"{ROOM}/resp/identify"} <= operator.topics())
        assert any(told.id.encode() in m.payload for m in operator.messages)
        # What is allowed comes, and comes later than all that is not.
        new.subscribe(f"roomtone/{node}/cmd/+")
        operator.publish(f"roomtone/{node}/cmd/identify", "last")
        until(lambda: any(m.payload == b"last" for m in new.messages))
        assert new.topics() <= {
            f"roomtone/{node}/cmd/identify",
            "homeassistant/status",
            "roomtone/fleet/announce",
        }
        assert f"{node} 1 {topic}" in site.broker.log


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
        ear.tell(event(1))
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
    assert mine == {f"{ROOM}/{leaf}" for leaf in wanted["recorder"]}
    for client in clients.values():
        client.close()
