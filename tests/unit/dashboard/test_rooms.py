import pytest

from dashboard.live.decode import Incoming
from dashboard.live.rooms import KEPT_EVENTS, STRIP, House
from dashboard.live.views import Cursor, patch, room_view
from edge.protocol.messages import Info, Level, State
from tests.support.messages import event_of, timestamp

NOW = 1_770_000_000.0


@pytest.fixture
def house():
    return House()


def hear(house, node, emotion, at=NOW, now=NOW, **changes):
    message = event_of(emotion, at, **changes)
    return message, house.apply(Incoming(node, "event", message), now)


def test_an_event_that_comes_twice_counts_once(house):
    message, changed = hear(house, "kitchen", "happy")
    assert changed
    revision = house.revision
    assert not house.apply(Incoming("kitchen", "event", message), NOW + 1)
    assert house.revision == revision
    assert len(house.rooms["kitchen"].recent) == 1


def test_since_is_the_beginning_of_the_run_of_equal_emotions(house):
    for offset, emotion in ((0, "happy"), (10, "angry"), (20, "angry"), (30, "angry")):
        hear(house, "kitchen", emotion, NOW + offset, NOW + offset)
    assert house.rooms["kitchen"].since == NOW + 10
    assert room_view(house.rooms["kitchen"])["since"] == (NOW + 10) * 1000


def test_an_event_that_was_spooled_takes_its_place_and_does_not_become_the_newest(house):
    hear(house, "kitchen", "happy", NOW)
    hear(house, "kitchen", "angry", NOW - 600, NOW + 1)
    room = house.rooms["kitchen"]
    assert [heard.event.event_type for heard in room.recent] == ["angry", "happy"]
    assert room.since == NOW
    assert room_view(room)["emotion"] == "happy"


def test_a_clock_that_runs_ahead_does_not_pin_an_event_to_the_top(house):
    hear(house, "kitchen", "sad", NOW + 86_400, NOW)
    hear(house, "kitchen", "happy", NOW + 5, NOW + 5)
    assert house.rooms["kitchen"].last.event.event_type == "happy"


def test_a_date_that_does_not_exist_counts_as_now(house):
    hear(house, "kitchen", "sad", started_at="2026-02-31T25:61:00.000Z")
    assert house.rooms["kitchen"].last.at == NOW


def test_memory_is_bounded(house):
    for n in range(KEPT_EVENTS + 50):
        hear(house, "kitchen", "happy", NOW + n, NOW + n)
    assert len(house.rooms["kitchen"].recent) == STRIP
    assert len(house.events_after(0)) == KEPT_EVENTS


def test_rooms_beyond_the_limit_are_refused_and_counted():
    house = House(max_rooms=2)
    for node in ("a", "b", "c"):
        house.apply(Incoming(node, "mic", "ok"), NOW)
    assert set(house.rooms) == {"a", "b"}
    assert house.refused == 1


def test_an_uncertain_event_says_what_it_might_be(house):
    hear(house, "kitchen", "uncertain", confidence=0.41, likely="surprised")
    view = room_view(house.rooms["kitchen"])
    assert (view["emotion"], view["maybe"], view["confidence"]) == ("uncertain", "surprised", 0.41)


def test_a_tile_follows_the_last_utterance_and_the_smoothed_state_stands_in_before_the_first(house):
    state = State(emotion="neutral", confidence=0.6, since=timestamp(NOW - 60), model="base-1.2.0")
    house.apply(Incoming("kitchen", "state", state), NOW)
    view = room_view(house.rooms["kitchen"])
    assert (view["emotion"], view["since"]) == ("neutral", (NOW - 60) * 1000)
    hear(house, "kitchen", "angry")
    assert room_view(house.rooms["kitchen"])["emotion"] == "angry"
    house.apply(Incoming("kitchen", "state", state), NOW)
    assert room_view(house.rooms["kitchen"])["emotion"] == "angry"


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
def test_a_name_has_no_control_characters_and_never_is_empty(house, given, shown):
    house.apply(Incoming("kitchen", "info", Info(node="kitchen", name=given, version="1")), NOW)
    assert house.rooms["kitchen"].name == shown


def test_a_page_is_told_only_what_changed_since_it_looked_last(house):
    cursor = Cursor()
    hear(house, "kitchen", "happy")
    house.apply(Incoming("study", "mic", "ok"), NOW)
    first = patch(house, cursor)
    assert {room["node"] for room in first["rooms"]} == {"kitchen", "study"}
    assert len(first["events"]) == 1
    assert patch(house, cursor) == {}

    house.apply(Incoming("study", "level", Level(dbfs=-31.52, speech=True)), NOW)
    assert patch(house, cursor) == {"levels": {"study": [-31.5, True]}}

    newest, _ = hear(house, "kitchen", "sad", NOW + 9, NOW + 9)
    view = patch(house, cursor)
    assert [room["node"] for room in view["rooms"]] == ["kitchen"]
    assert [e["id"] for e in view["events"]] == [newest.id]


def test_a_room_whose_retained_topic_was_cleared_leaves_the_page_and_may_come_back(house):
    cursor = Cursor()
    house.apply(Incoming("study", "availability", "online"), NOW)
    patch(house, cursor)
    assert house.apply(Incoming("study", "availability", None), NOW)
    assert patch(house, cursor) == {"gone": ["study"]}
    house.apply(Incoming("study", "availability", "online"), NOW)
    view = patch(house, cursor)
    assert "gone" not in view
    assert [room["node"] for room in view["rooms"]] == ["study"]
