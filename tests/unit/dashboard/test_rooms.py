import pytest

from dashboard.live.decode import Incoming
from dashboard.live.registry import KEPT_EVENTS, RECENT_UTTERANCES, RoomRegistry
from dashboard.live.views import Cursor, patch, room_view
from edge.protocol import Info, Level, MuteReasons, State
from tests.support.messages import event_of, timestamp

NOW = 1_770_000_000.0


@pytest.fixture
def registry():
    return RoomRegistry()


def hear(registry, node, emotion, at=NOW, now=NOW, **changes):
    message = event_of(emotion, at, **changes)
    return message, registry.apply(Incoming(node, "event", message), now)


def test_an_event_that_comes_twice_counts_once(registry):
    message, changed = hear(registry, "kitchen", "happy")
    assert changed
    revision = registry.revision
    assert not registry.apply(Incoming("kitchen", "event", message), NOW + 1)
    assert registry.revision == revision
    assert len(registry.rooms["kitchen"].recent) == 1


def test_since_is_the_beginning_of_the_run_of_equal_emotions(registry):
    for offset, emotion in ((0, "happy"), (10, "angry"), (20, "angry"), (30, "angry")):
        hear(registry, "kitchen", emotion, NOW + offset, NOW + offset)
    assert registry.rooms["kitchen"].since == NOW + 10
    assert room_view(registry.rooms["kitchen"])["since"] == (NOW + 10) * 1000


def test_an_event_that_was_spooled_takes_its_place_and_does_not_become_the_newest(registry):
    hear(registry, "kitchen", "happy", NOW)
    hear(registry, "kitchen", "angry", NOW - 600, NOW + 1)
    room = registry.rooms["kitchen"]
    assert [heard.event.event_type for heard in room.recent] == ["angry", "happy"]
    assert room.since == NOW
    assert room_view(room)["emotion"] == "happy"


def test_a_clock_that_runs_ahead_does_not_pin_an_event_to_the_top(registry):
    hear(registry, "kitchen", "sad", NOW + 86_400, NOW)
    hear(registry, "kitchen", "happy", NOW + 5, NOW + 5)
    assert registry.rooms["kitchen"].last.event.event_type == "happy"


def test_a_date_that_does_not_exist_counts_as_now(registry):
    hear(registry, "kitchen", "sad", started_at="2026-02-31T25:61:00.000Z")
    assert registry.rooms["kitchen"].last.at == NOW


def test_memory_is_bounded(registry):
    for n in range(KEPT_EVENTS + 50):
        hear(registry, "kitchen", "happy", NOW + n, NOW + n)
    assert len(registry.rooms["kitchen"].recent) == RECENT_UTTERANCES
    assert len(registry.events_after(0)) == KEPT_EVENTS


def test_rooms_beyond_the_limit_are_refused_and_counted():
    registry = RoomRegistry(max_rooms=2)
    for node in ("a", "b", "c"):
        registry.apply(Incoming(node, "mic", "ok"), NOW)
    assert set(registry.rooms) == {"a", "b"}
    assert registry.rejected == 1


def test_an_uncertain_event_says_what_it_might_be(registry):
    hear(registry, "kitchen", "uncertain", confidence=0.41, likely="surprised")
    view = room_view(registry.rooms["kitchen"])
    assert (view["emotion"], view["maybe"], view["confidence"]) == ("uncertain", "surprised", 0.41)


def test_a_tile_follows_the_last_utterance_and_the_smoothed_state_stands_in_before_the_first(registry):
    state = State(emotion="neutral", confidence=0.6, since=timestamp(NOW - 60), model="base-1.2.0")
    registry.apply(Incoming("kitchen", "state", state), NOW)
    view = room_view(registry.rooms["kitchen"])
    assert (view["emotion"], view["since"]) == ("neutral", (NOW - 60) * 1000)
    hear(registry, "kitchen", "angry")
    assert room_view(registry.rooms["kitchen"])["emotion"] == "angry"
    registry.apply(Incoming("kitchen", "state", state), NOW)
    assert room_view(registry.rooms["kitchen"])["emotion"] == "angry"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Küche", "Küche"),
        ("", "kitchen"),
        ("  \u202e\u200b ", "kitchen"),
        ("a\u202eb\nc\x1b", "abc"),
        ("<b>x</b>", "<b>x</b>"),
    ],
)
def test_a_name_has_no_control_characters_and_never_is_empty(registry, given, shown):
    registry.apply(Incoming("kitchen", "info", Info(node="kitchen", name=given, version="1")), NOW)
    assert registry.rooms["kitchen"].name == shown


def test_a_page_is_told_only_what_changed_since_it_looked_last(registry):
    cursor = Cursor()
    hear(registry, "kitchen", "happy")
    registry.apply(Incoming("study", "mic", "ok"), NOW)
    first = patch(registry, cursor)
    assert {room["node"] for room in first["rooms"]} == {"kitchen", "study"}
    assert len(first["events"]) == 1
    assert patch(registry, cursor) == {}

    registry.apply(Incoming("study", "level", Level(dbfs=-31.52, speech=True)), NOW)
    assert patch(registry, cursor) == {"levels": {"study": [-31.5, True]}}

    newest, _ = hear(registry, "kitchen", "sad", NOW + 9, NOW + 9)
    view = patch(registry, cursor)
    assert [room["node"] for room in view["rooms"]] == ["kitchen"]
    assert [e["id"] for e in view["events"]] == [newest.id]


def test_a_room_whose_retained_topic_was_cleared_leaves_the_page_and_may_come_back(registry):
    cursor = Cursor()
    registry.apply(Incoming("study", "availability", "online"), NOW)
    patch(registry, cursor)
    assert registry.apply(Incoming("study", "availability", None), NOW)
    assert patch(registry, cursor) == {"gone": ["study"]}
    registry.apply(Incoming("study", "availability", "online"), NOW)
    view = patch(registry, cursor)
    assert "gone" not in view
    assert [room["node"] for room in view["rooms"]] == ["study"]


def test_a_recorded_room_is_there_without_a_device_and_stays_when_its_device_goes(registry):
    assert registry.set_recorded({"attic": "Attic", "kitchen": "Old name"})
    assert not registry.set_recorded({"attic": "Attic", "kitchen": "Old name"})
    view = room_view(registry.rooms["attic"])
    assert (view["name"], view["recorded_only"]) == ("Attic", True)
    registry.apply(Incoming("kitchen", "info", Info(node="kitchen", name="Kitchen", version="1")), NOW)
    hear(registry, "kitchen", "happy")
    view = room_view(registry.rooms["kitchen"])
    assert (view["name"], "recorded_only" in view) == ("Kitchen", False)
    # The device is taken out of use: its retained topics are cleared.
    registry.apply(Incoming("kitchen", "availability", None), NOW)
    view = room_view(registry.rooms["kitchen"])
    assert (view["name"], view["recorded_only"], view["emotion"]) == ("Old name", True, "happy")


def test_an_erased_room_goes_unless_it_has_a_device(registry):
    registry.apply(Incoming("kitchen", "availability", "online"), NOW)
    registry.set_recorded({"attic": "Attic", "kitchen": "Kitchen"})
    cursor = Cursor()
    patch(registry, cursor)
    registry.set_recorded({})
    view = patch(registry, cursor)
    assert (view["gone"], [room["node"] for room in view["rooms"]]) == (["attic"], ["kitchen"])


def test_the_reason_of_a_mute_is_shown(registry):
    registry.apply(Incoming("kitchen", "mic", "muted"), NOW)
    registry.apply(Incoming("kitchen", "muted_by", MuteReasons(("device", "quiet_hours"))), NOW)
    assert room_view(registry.rooms["kitchen"])["muted_by"] == ("device", "quiet_hours")
