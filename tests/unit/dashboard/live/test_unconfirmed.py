"""What any client can publish makes no room; what a device has said before it is known is not lost."""

import tracemalloc

import pytest

from dashboard.live.decode import Incoming
from dashboard.live.registry import RoomRegistry
from dashboard.live.unconfirmed import UnconfirmedNodes
from edge.protocol import Info, Level, ModelStatus, MuteReasons, State
from tests.support.messages import event_of, healthy, timestamp

NOW = 1_770_000_000.0
STATUS = ModelStatus(installed_version="1.0", latest_version="1.0")
SHORT = {
    "availability": "online",
    "mic": "muted",
    "muted_by": MuteReasons(("device",)),
    "model": STATUS,
    "level": Level(dbfs=-30, speech=False),
}
"""What programs that are no devices may publish as well."""
OF_A_DEVICE = {
    "info": Info(node="kitchen", name="Kitchen", version="1"),
    "event": event_of("happy", NOW),
    "health": healthy(),
    "state": State(emotion="neutral", confidence=0.6, since=timestamp(NOW), model="base-1.2.0"),
}


def apply(registry, node, **messages):
    return [registry.apply(Incoming(node, leaf, message), NOW) for leaf, message in messages.items()]


@pytest.mark.parametrize("leaf", SHORT)
def test_a_short_message_makes_no_room(leaf):
    registry = RoomRegistry()
    assert apply(registry, "kitchen", **{leaf: SHORT[leaf]}) == [False]
    assert (registry.rooms, registry.revision) == ({}, 0)


@pytest.mark.parametrize("leaf", OF_A_DEVICE)
def test_what_only_a_device_publishes_makes_a_room_with_all_that_came_before(leaf):
    registry = RoomRegistry()
    apply(registry, "kitchen", **SHORT)
    assert apply(registry, "kitchen", **{leaf: OF_A_DEVICE[leaf]}) == [True]
    room = registry.rooms["kitchen"]
    assert (room.availability, room.mic, room.muted_by, room.model) == (
        "online",
        "muted",
        ("device",),
        STATUS,
    )
    # A level comes again twice a second while it is asked for.
    assert room.level is None


def test_a_recorded_room_has_what_its_device_said_before_the_database_was_read():
    registry = RoomRegistry()
    apply(registry, "kitchen", **SHORT)
    registry.set_recorded({"kitchen": "Kitchen"})
    assert registry.rooms["kitchen"].availability == "online"


def test_a_device_that_was_taken_out_of_use_leaves_nothing_behind():
    registry = RoomRegistry()
    apply(registry, "kitchen", availability="online", mic="ok")
    assert apply(registry, "kitchen", availability=None) == [False]
    apply(registry, "kitchen", info=OF_A_DEVICE["info"])
    assert (registry.rooms["kitchen"].availability, registry.rooms["kitchen"].mic) == ("", "")


def test_thousands_of_names_take_no_room_of_a_device_and_hardly_memory():
    registry = RoomRegistry(max_rooms=1000)
    apply(registry, "study", info=Info(node="study", name="Study", version="1"), availability="online")
    tracemalloc.start()
    try:
        for number in range(1000):
            apply(registry, f"junk-{number}", **SHORT)
        full, _ = tracemalloc.get_traced_memory()
        for number in range(1000, 20_000):
            apply(registry, f"junk-{number}", **SHORT)
        later, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert later < 1.5 * full
    assert set(registry.rooms) == {"study"}
    assert registry.rejected == 0
    # A device that comes now is known as a whole.
    apply(registry, "kitchen", **SHORT, **OF_A_DEVICE)
    assert registry.rooms["kitchen"].availability == "online"


def test_the_node_that_was_first_kept_is_dropped_first():
    kept = UnconfirmedNodes(2)
    for node in ("a", "b", "a", "c"):
        kept.keep(Incoming(node, "mic", "ok"))
    assert len(kept) == 2
    assert [kept.take(node) for node in ("a", "b", "b")] == [[], [Incoming("b", "mic", "ok")], []]
