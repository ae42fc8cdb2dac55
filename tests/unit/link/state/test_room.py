"""The state of a room: from the start on, and from what is said now."""

from __future__ import annotations

import time

import msgspec
import pytest

from edge.link.delivery.episodes import EpisodeMessages
from edge.link.state.room import RECENT_S, RoomState
from edge.util.episodes import MAX_GAP_S
from edge.util.timestamps import from_unix
from tests.support.messages import event


class World:
    def __init__(self, folder):
        self.now = 1000.0
        self.file = folder / "kitchen.episode"
        self.states, self.episodes = [], []
        self.room = self.start()

    def start(self):
        """As a new link does it."""
        messages = self.messages()
        messages.connected()
        return RoomState(60, self.states.append, messages, lambda: self.now)

    def messages(self):
        return EpisodeMessages(self.file, "roomtone", "kitchen", self.send)

    def send(self, topic, episode):
        self.episodes.append(episode)
        return len(self.episodes)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def angry(age_s: float = 0.0, **changes):
    changes.setdefault("arousal", 1.0)
    return msgspec.structs.replace(event(1), started_at=from_unix(time.time() - age_s), **changes)


def test_a_new_room_is_uncertain_as_soon_as_a_model_is_known(world):
    world.room.update()
    assert world.states == []
    world.room.set_model("base-0.8.2")
    world.room.update()
    assert [(state.emotion, state.confidence, state.model) for state in world.states] == [
        ("uncertain", 0, "base-0.8.2")
    ]


def test_a_room_where_nothing_is_said_is_published_every_minute(world):
    world.room.set_model("base-0.8.2")
    for _ in range(6):
        world.now += 30
        world.room.update()
    assert len(world.states) == 3


@pytest.mark.parametrize("age_s", [RECENT_S + 5, 3600, 400 * 86_400])
def test_what_was_said_long_ago_says_nothing_about_now(world, age_s):
    world.room.set_model("base-0.8.2")
    for _ in range(20):
        world.room.add(angry(age_s))
    world.room.update()
    assert world.states[-1].emotion == "uncertain"
    assert not world.states[-1].agitated and world.episodes == []


def test_what_is_said_now_counts_also_where_the_clock_is_not_right(world):
    for changes in ({}, {"clock": "unsynced"}):
        world.episodes.clear()
        world.file.unlink(missing_ok=True)
        room = world.start()
        for _ in range(20):
            room.add(angry(400 * 86_400 if changes else 1, **changes))
        room.update()
        assert world.states[-1].emotion == event(1).event_type
        assert [episode.event_type for episode in world.episodes] == ["started"]


def test_an_episode_that_is_under_way_ends_with_the_link(world):
    world.room.set_model("base-0.8.2")
    for _ in range(10):
        world.room.add(angry())
    world.room.end()
    world.room.end()
    assert [(one.event_type, one.interrupted) for one in world.episodes] == [
        ("started", msgspec.UNSET),
        ("ended", True),
    ]


def test_an_episode_ends_also_while_the_microphone_is_lost(world):
    world.room.set_model("base-0.8.2")
    for _ in range(10):
        world.room.add(angry())
    world.room.update()
    assert world.states[-1].agitated
    for _ in range(3):
        world.now += MAX_GAP_S / 2
        world.room.expire()
    assert [(one.event_type, one.interrupted) for one in world.episodes] == [
        ("started", msgspec.UNSET),
        ("ended", msgspec.UNSET),
    ]
    assert [state.agitated for state in world.states] == [True, False]


def test_after_a_power_cut_the_end_has_the_last_peak_and_the_room_is_calm(world):
    world.room.set_model("base-0.8.2")
    for _ in range(3):
        world.room.add(angry())
    low = world.episodes[0].peak
    for _ in range(5):
        world.room.add(angry())
    world.states.clear()
    after = world.start()
    end = world.messages().unpublished_end
    assert end.interrupted and end.peak > low
    after.update()  # before any ear is connected
    assert [(state.emotion, state.agitated) for state in world.states] == [("uncertain", False)]


def test_a_room_that_is_not_heard_is_not_agitated_for_those_who_connect_later(world):
    world.room.set_model("base-0.8.2")
    for _ in range(10):
        world.room.add(angry())
    world.room.update()
    world.room.expire(anew=True)
    assert [state.agitated for state in world.states] == [True]
    after = world.start()
    for room in (world.room, after):  # the microphone is lost before the broker is back
        world.now += MAX_GAP_S
        room.expire()
        world.states.clear()
        room.expire()
        assert world.states == []
        room.expire(anew=True)
        room.expire(anew=True)
        assert [state.agitated for state in world.states] == [False, False]


def test_a_room_is_not_agitated_while_the_link_is_stopped(world):
    world.room.set_model("base-0.8.2")
    for _ in range(10):
        world.room.add(angry())
    world.room.update()
    world.room.end()
    assert [state.agitated for state in world.states] == [True, False]


def test_both_messages_of_an_episode_say_the_same_start_though_the_clock_is_set(world, monkeypatch):
    for _ in range(10):
        world.room.add(angry())
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 3600)
    world.now += MAX_GAP_S
    world.room.expire()
    started, ended = world.episodes
    assert (ended.event_type, ended.started_at) == ("ended", started.started_at)
