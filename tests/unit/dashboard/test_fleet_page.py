from __future__ import annotations

from dashboard.live.broker_figures import BrokerFigures
from dashboard.live.decode import Incoming
from dashboard.live.problems import device_rows
from dashboard.live.registry import RoomRegistry
from edge.protocol import Info
from edge.util.timestamps import from_unix
from tests.support.messages import healthy

NOW = 1_770_000_000.0


def registry(**rooms):
    made = RoomRegistry()
    for node, messages in rooms.items():
        made.apply(
            Incoming(node, "info", Info(node=node, name=node, version=messages.pop("version", "1.10.0"))), NOW
        )
        for leaf, message in messages.items():
            made.apply(Incoming(node, leaf, message), NOW)
    return made


def codes(rows):
    return {row["node"]: [p["code"] for p in row["problems"]] for row in rows}


def test_a_box_that_is_well_has_nothing_said_of_it():
    rows = device_rows(
        registry(kitchen={"availability": "online", "mic": "ok", "health": healthy()}), {}, NOW, NOW - 9999
    )
    assert codes(rows) == {"kitchen": []}
    assert (rows[0]["seen"], rows[0]["latency"], rows[0]["queue"]) == (NOW * 1000, 12, 0)


def test_each_thing_that_is_wrong_is_named_and_the_worst_comes_first():
    made = registry(
        attic={"availability": "online", "mic": "muted", "health": healthy(), "version": "1.9.0"},
        cellar={
            "availability": "online",
            "mic": "ok",
            "health": healthy(
                temperature_c=83.0,
                spool=400,
                drops=2,
                lost=1,
                clock="unsynced",
                certificate_expires=from_unix(NOW + 20 * 86_400),
            ),
        },
        hall={"availability": "offline", "mic": "lost"},
    )
    rows = device_rows(made, {"attic": 3}, NOW, NOW)
    assert [row["node"] for row in rows] == ["hall", "attic", "cellar"]
    assert codes(rows) == {
        "hall": ["offline", "mic_lost"],
        "attic": ["lost_events", "muted", "old_version"],
        "cellar": ["certificate", "hot", "queue", "drops", "ear_drops", "clock"],
    }


def test_a_box_that_says_nothing_for_three_minutes_is_named_but_not_right_after_our_own_start():
    made = registry(kitchen={"availability": "online", "mic": "ok", "health": healthy()})
    assert codes(device_rows(made, {}, NOW + 100, NOW)) == {"kitchen": []}
    assert codes(device_rows(made, {}, NOW + 300, NOW)) == {"kitchen": ["silent"]}
    assert codes(device_rows(made, {}, NOW + 300, NOW + 250)) == {"kitchen": []}


def test_what_is_not_known_is_not_well_and_a_room_without_a_device_is_no_device():
    made = registry(
        kitchen={"availability": "online", "mic": "ok", "health": healthy()},
        study={"availability": "online", "mic": "muted"},
        hall={"availability": "online"},
        attic={},
    )
    made.set_recorded({"attic": "Attic", "cellar": "Cellar"})
    rows = {row["node"]: row["condition"] for row in device_rows(made, {}, NOW, NOW)}
    assert rows == {"kitchen": "ok", "study": "ok", "hall": "unknown", "attic": "unknown"}


def test_an_ear_that_is_gone_is_not_a_missing_microphone():
    gone = {"availability": "online", "mic": "lost", "health": healthy(ear=None)}
    made = registry(kitchen=gone, hall={"availability": "online", "mic": "lost", "health": healthy()})
    assert codes(device_rows(made, {}, NOW, NOW)) == {"kitchen": ["ear_lost"], "hall": ["mic_lost"]}


def test_the_figures_of_the_broker_are_read_and_what_is_none_is_ignored():
    figures = BrokerFigures()
    for topic, payload in (
        ("$SYS/broker/clients/connected", b"12"),
        ("$SYS/broker/uptime", b"86400 seconds"),
        ("$SYS/broker/load/messages/received/1min", b"7.25"),
        ("$SYS/broker/version", b"mosquitto version 2.0.21"),
        ("$SYS/broker/retained messages/count", b"many"),
        ("$SYS/broker/retained messages/count", b""),
        ("$SYS/broker/something/else", b"1"),
    ):
        figures.add(topic, payload)
    assert figures.values() == {"clients": 12, "uptime_s": 86_400, "received_per_min": 7.25}
    assert figures.version == "mosquitto version 2.0.21"
