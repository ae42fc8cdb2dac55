import time

import pytest

from dashboard.live.decode import Incoming
from dashboard.live.registry import KEPT_EVENTS, RECENT_UTTERANCES, RoomRegistry
from dashboard.live.views import Cursor, patch, room_view
from dashboard.live.window import PAGE_ROOMS, RoomOrder, Wanted
from edge.protocol import Info, Level, MuteReasons, State
from tests.support.messages import MODEL, event_of, healthy, timestamp

NOW = 1_770_000_000.0


class Page:
    """An open page: `look` is what it is sent."""

    def __init__(self, registry):
        self.registry = registry
        self.cursor = Cursor()
        self.wanted = Wanted()
        self.now = 0.0
        self.order = RoomOrder(registry, lambda: self.now)

    def look(self):
        return patch(self.registry, self.cursor, self.order.window(self.wanted))

    def look_for_rooms(self):
        self.now += 10
        view = self.look()
        return sorted(room["node"] for room in view.get("rooms", ())), view.get("gone", [])


@pytest.fixture
def registry():
    return RoomRegistry()


def announce(registry, node, name=None, **messages):
    """What a device publishes of itself; `messages` by the last level of their topic."""
    registry.apply(
        Incoming(node, "info", Info(node=node, name=node if name is None else name, version="1")), NOW
    )
    for leaf, message in messages.items():
        registry.apply(Incoming(node, leaf, message), NOW)


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
        announce(registry, node)
    assert set(registry.rooms) == {"a", "b"}
    assert registry.rejected == 1


def test_an_uncertain_event_says_what_it_might_be(registry):
    hear(registry, "kitchen", "uncertain", confidence=0.41, likely="surprised")
    view = room_view(registry.rooms["kitchen"])
    assert (view["emotion"], view["maybe"], view["confidence"]) == ("uncertain", "surprised", 0.41)


def test_a_room_in_which_nothing_was_heard_is_not_called_uncertain(registry):
    state = State(emotion="uncertain", confidence=0.0, since=timestamp(NOW), model="base-1.2.0")
    registry.apply(Incoming("kitchen", "state", state), NOW)
    assert "emotion" not in room_view(registry.rooms["kitchen"])


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
    announce(registry, "kitchen", given)
    assert registry.rooms["kitchen"].name == shown


def test_a_page_is_told_only_what_changed_since_it_looked_last(registry):
    page = Page(registry)
    hear(registry, "kitchen", "happy")
    announce(registry, "study", mic="ok")
    first = page.look()
    assert {room["node"] for room in first["rooms"]} == {"kitchen", "study"}
    assert len(first["events"]) == 1
    assert page.look() == {}

    registry.apply(Incoming("study", "level", Level(dbfs=-31.52, speech=True)), NOW)
    assert page.look() == {"levels": {"study": [-31.5, True]}}

    newest, _ = hear(registry, "kitchen", "sad", NOW + 9, NOW + 9)
    view = page.look()
    assert [room["node"] for room in view["rooms"]] == ["kitchen"]
    assert [e["id"] for e in view["events"]] == [newest.id]


def test_a_room_whose_retained_topic_was_cleared_leaves_the_page_and_may_come_back(registry):
    page = Page(registry)
    announce(registry, "study", availability="online")
    page.look()
    assert registry.apply(Incoming("study", "availability", None), NOW)
    assert page.look()["gone"] == ["study"]
    announce(registry, "study", availability="online")
    view = page.look()
    assert "gone" not in view
    assert [room["node"] for room in view["rooms"]] == ["study"]


def test_a_recorded_room_is_there_without_a_device_and_stays_when_its_device_goes(registry):
    assert registry.set_recorded({"attic": "Attic", "kitchen": "Old name"})
    assert not registry.set_recorded({"attic": "Attic", "kitchen": "Old name"})
    view = room_view(registry.rooms["attic"])
    assert (view["name"], view["recorded_only"]) == ("Attic", True)
    announce(registry, "kitchen", "Kitchen")
    hear(registry, "kitchen", "happy")
    view = room_view(registry.rooms["kitchen"])
    assert (view["name"], "recorded_only" in view) == ("Kitchen", False)
    # The device is taken out of use: its retained topics are cleared.
    registry.apply(Incoming("kitchen", "availability", None), NOW)
    view = room_view(registry.rooms["kitchen"])
    assert (view["name"], view["recorded_only"], view["emotion"]) == ("Old name", True, "happy")


def test_an_erased_room_goes_unless_it_has_a_device(registry):
    announce(registry, "kitchen", availability="online")
    registry.set_recorded({"attic": "Attic", "kitchen": "Kitchen"})
    page = Page(registry)
    page.look()
    registry.set_recorded({})
    view = page.look()
    assert (view["gone"], [room["node"] for room in view["rooms"]]) == (["attic"], ["kitchen"])


def test_the_reason_of_a_mute_is_shown(registry):
    announce(registry, "kitchen", mic="muted", muted_by=MuteReasons(("device", "quiet_hours")))
    assert room_view(registry.rooms["kitchen"])["muted_by"] == ("device", "quiet_hours")


@pytest.fixture
def large():
    """A hub with more rooms than a page is sent."""
    registry = RoomRegistry()
    for number in range(3 * PAGE_ROOMS):
        announce(registry, f"r{number:04}", availability="online", mic="ok")
    return registry


def test_a_page_of_a_large_hub_is_sent_some_rooms_and_how_many_there_are(large):
    page = Page(large)
    view = page.look()
    assert len(view["rooms"]) == PAGE_ROOMS
    assert view["totals"] == {
        "rooms": 3 * PAGE_ROOMS, "attention": 0, "matching": 3 * PAGE_ROOMS, "first": 0, "size": PAGE_ROOMS,
    }  # fmt: skip
    # What happens elsewhere costs it nothing.
    large.apply(Incoming("r0599", "mic", "muted"), NOW)
    assert page.look_for_rooms() == ([], [])


def test_a_page_asks_for_the_next_rooms_for_a_name_and_for_one_room(large):
    page = Page(large)
    page.look()
    page.wanted = Wanted(first=2 * PAGE_ROOMS)
    rooms, gone = page.look_for_rooms()
    assert rooms == [f"r{number:04}" for number in range(2 * PAGE_ROOMS, 3 * PAGE_ROOMS)]
    assert len(gone) == PAGE_ROOMS
    page.wanted = Wanted(search=" R0599")
    assert page.look_for_rooms()[0] == []
    assert page.cursor.nodes == {"r0599"}
    page.wanted = Wanted(search="no such room", room="r0001")
    assert page.look_for_rooms() == (["r0001"], ["r0599"])
    assert page.cursor.totals["matching"] == 0


def test_a_room_that_needs_attention_comes_first_in_a_large_hub(large):
    page = Page(large)
    page.look()
    large.apply(Incoming("r0599", "availability", "offline"), NOW)
    assert page.order.is_behind
    assert page.look_for_rooms() == (["r0599"], [f"r{PAGE_ROOMS - 1:04}"])
    assert page.cursor.totals["attention"] == 1


def test_an_utterance_of_a_room_that_is_not_shown_has_its_name(large):
    page = Page(large)
    page.look()
    announce(large, "r0599", "Attic")
    hear(large, "r0599", "happy")
    hear(large, "r0000", "happy")
    names = {event["node"]: event.get("name") for event in page.look()["events"]}
    assert names == {"r0599": "Attic", "r0000": None}


def test_rooms_with_an_alert_an_episode_or_a_problem_come_before_the_rest_of_a_thousand():
    registry = RoomRegistry()
    names = [f"r{number:04}" for number in range(1000)]
    for node in names:
        registry.apply(Incoming(node, "info", Info(node=node, name=node, version="1")), NOW)
        registry.apply(Incoming(node, "availability", "online"), NOW)
        registry.apply(Incoming(node, "mic", "ok"), NOW)
    agitated = State(
        emotion="neutral", confidence=0.5, since=timestamp(NOW), model=MODEL, arousal=0.6, agitated=True
    )
    registry.apply(Incoming("r0500", "state", agitated), NOW)
    registry.apply(Incoming("r0700", "mic", "lost"), NOW)
    expiring = healthy(certificate_expires=timestamp(time.time() + 3 * 86_400))
    registry.apply(Incoming("r0800", "health", expiring), NOW)
    for node in names:
        registry.rooms[node].seen = NOW if node != "r0600" else NOW - 1000
    assert registry.find_silent(NOW + 1, NOW - 2000)
    # A room may be known by its alert only.
    assert registry.set_alerted(frozenset({"r0900", "r1000"}))
    registry.apply(Incoming("r1000", "info", Info(node="r1000", name="r1000", version="1")), NOW)
    page = Page(registry)
    urgent = ["r0500", "r0600", "r0700", "r0800", "r0900", "r1000"]
    view = page.look()
    first = {room["node"]: room for room in view["rooms"]}
    assert sorted(first) == sorted([*names[: PAGE_ROOMS - len(urgent)], *urgent])
    assert sorted(node for node, room in first.items() if room.get("attention")) == urgent
    assert [node for node in urgent if first[node].get("alerted")] == ["r0900", "r1000"]
    assert [node for node in urgent if first[node].get("silent")] == ["r0600"]
    # An alert or an episode is not a device that needs help.
    assert view["totals"]["attention"] == 3
    # All others stay in their order, and one that is well again goes back to its place.
    registry.set_alerted(frozenset({"r1000"}))
    assert page.look_for_rooms() == ([names[PAGE_ROOMS - len(urgent)]], ["r0900"])
    page.wanted = Wanted(first=4 * PAGE_ROOMS)
    page.look_for_rooms()
    assert page.cursor.nodes == {*names[4 * PAGE_ROOMS - 2 : 999]} - {"r0800"}


def test_a_room_is_silent_until_its_device_says_something(registry):
    announce(registry, "kitchen", availability="online")
    registry.rooms["kitchen"].seen = NOW - 1000
    registry.find_silent(NOW, NOW - 2000)
    assert registry.rooms["kitchen"].silent
    first, _ = hear(registry, "kitchen", "happy", now=NOW)
    assert not registry.rooms["kitchen"].silent
    # Also by what is known already.
    registry.rooms["kitchen"].silent = True
    assert registry.apply(Incoming("kitchen", "event", first), NOW + 1)
    assert not registry.rooms["kitchen"].silent


def test_a_silent_room_is_not_agitated_for_ever(registry):
    announce(registry, "kitchen", availability="online")
    agitated = State(
        emotion="neutral", confidence=0.5, since=timestamp(NOW), model=MODEL, arousal=0.6, agitated=True
    )
    registry.apply(Incoming("kitchen", "state", agitated), NOW)
    assert registry.agitated_since() == {"kitchen": NOW}
    registry.find_silent(NOW + 3600, NOW)
    assert registry.agitated_since() == {} and "agitated" not in room_view(registry.rooms["kitchen"])
