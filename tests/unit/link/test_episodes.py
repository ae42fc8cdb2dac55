"""Every episode that was published as started is published as ended, whatever happens to the link in between."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from edge.link.delivery.episodes import MAX_WAITING, EpisodeMessages
from edge.protocol import Episode

STARTED = Episode(event_type="started", started_at="2026-01-01T10:00:00.000Z", peak=0.4, model="base-0.8.2")
ENDED = msgspec.structs.replace(STARTED, event_type="ended", peak=0.6)
INTERRUPTED = msgspec.structs.replace(STARTED, event_type="ended", interrupted=True)
SECOND = msgspec.structs.replace(STARTED, started_at="2026-01-01T11:00:00.000Z")
SECOND_ENDED = msgspec.structs.replace(SECOND, event_type="ended")


class Link:
    """The messages of the lives of a link, connected at first; they are numbered over all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "state"
        self._folder.mkdir()
        self._file = self._folder / "link.episode"
        self.sent: list[Episode] = []
        self.topics: list[str] = []
        self._numbers = 0
        self._waiting: list[int] = []
        self.is_connected = False
        self.refuse_next = 0
        """How many messages find the queue full."""
        self.restart()
        self.connect()

    def restart(self, node: str = "kitchen", base_topic: str = "roomtone") -> None:
        """As after SIGKILL: only the file is left."""
        self.is_connected = False
        self.messages = EpisodeMessages(self._file, base_topic, node, self._send)

    def connect(self) -> None:
        self.is_connected = True
        self._waiting.clear()
        self.messages.connected()
        self.messages.publish_waiting()

    def disconnect(self) -> None:
        self.is_connected = False
        self.messages.disconnected()

    def acknowledge(self) -> None:
        """The broker answers all that this connection has sent."""
        while self._waiting:
            assert self.messages.acknowledged(self._waiting.pop(0))

    def take(self) -> list[Episode]:
        """What was sent since the last call."""
        found, self.sent = self.sent, []
        return found

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self._folder.iterdir())

    def break_folder(self) -> None:
        shutil.rmtree(self._folder)

    def repair_folder(self) -> None:
        self._folder.mkdir()

    def _send(self, topic: str, episode: Episode) -> int | None:
        if not self.is_connected:
            return None
        if self.refuse_next:
            self.refuse_next -= 1
            return None
        self.sent.append(episode)
        self.topics.append(topic)
        self._numbers += 1
        self._waiting.append(self._numbers)
        return self._numbers


@pytest.fixture
def link(tmp_path: Path) -> Link:
    return Link(tmp_path)


def test_the_end_of_a_killed_link_is_published_by_the_next_one_until_it_is_acknowledged(link: Link) -> None:
    link.messages.publish(STARTED)
    link.acknowledge()
    link.restart()
    assert link.messages.unpublished_end == INTERRUPTED
    link.connect()
    link.disconnect()  # before an answer
    assert not link.messages.acknowledged(2)
    link.connect()
    link.acknowledge()
    link.restart()
    link.connect()
    assert link.sent == [STARTED, INTERRUPTED, INTERRUPTED]


def test_it_has_the_peak_that_was_noted_last(link: Link) -> None:
    link.messages.publish(STARTED)
    link.messages.note(msgspec.structs.replace(STARTED, peak=0.8))
    link.restart()
    assert link.messages.unpublished_end == msgspec.structs.replace(INTERRUPTED, peak=0.8)


def test_an_end_without_a_connection_survives_a_restart_as_it_was(link: Link) -> None:
    link.messages.publish(STARTED)
    link.acknowledge()
    link.disconnect()
    link.messages.publish(ENDED)
    link.restart()
    link.connect()
    assert link.sent == [STARTED, ENDED]


def test_the_answer_to_an_earlier_end_does_not_remove_the_note_of_the_next_episode(link: Link) -> None:
    link.messages.publish(ENDED)
    link.messages.publish(SECOND)
    link.acknowledge()
    link.take()
    link.restart()
    link.connect()
    assert link.sent == [msgspec.structs.replace(SECOND_ENDED, interrupted=True)]


@pytest.mark.parametrize("killed", [False, True])
def test_the_next_episode_does_not_replace_an_end_that_is_not_acknowledged(link: Link, killed: bool) -> None:
    link.messages.publish(STARTED)
    link.acknowledge()
    if killed:
        link.restart()
        link.connect()
    else:
        link.messages.publish(ENDED)
    first = INTERRUPTED if killed else ENDED
    link.messages.publish(SECOND)
    link.messages.publish(SECOND_ENDED)
    assert link.take() == [STARTED, first, SECOND, SECOND_ENDED]
    link.connect()
    assert link.take() == [first, SECOND, SECOND_ENDED]
    link.restart()
    assert link.messages.unpublished_end == SECOND_ENDED
    link.connect()
    assert link.take() == [first, SECOND, SECOND_ENDED]


def test_what_this_connection_has_sent_is_not_sent_again_with_what_is_retained(link: Link) -> None:
    link.messages.publish(STARTED)
    link.messages.publish(ENDED)
    link.messages.publish_waiting()  # Home Assistant has started, or a dashboard asks for it
    link.acknowledge()
    link.messages.publish_waiting()
    assert link.sent == [STARTED, ENDED]


def test_of_an_episode_within_an_outage_nothing_is_published(link: Link) -> None:
    link.disconnect()
    link.messages.publish(STARTED)
    link.messages.note(STARTED)
    link.messages.publish(ENDED)
    link.connect()
    assert link.sent == [] and link.files == []


def test_of_an_episode_within_an_outage_in_which_the_link_is_killed_nothing_is_published(link: Link) -> None:
    link.disconnect()
    link.messages.publish(STARTED)
    link.messages.note(STARTED)
    link.restart()
    link.connect()
    assert link.sent == []


@pytest.mark.parametrize("killed", [False, True])
def test_an_episode_that_goes_on_after_an_outage_starts_and_ends_once(link: Link, killed: bool) -> None:
    link.disconnect()
    link.messages.publish(STARTED)
    link.messages.note(STARTED)
    link.connect()
    assert link.sent == [STARTED]
    if killed:
        link.acknowledge()
        link.restart()
        link.connect()
    else:
        link.messages.publish(ENDED)
    assert link.sent == [STARTED, INTERRUPTED if killed else ENDED]
    link.acknowledge()
    link.connect()
    assert len(link.sent) == 2 and link.files == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_start_that_is_not_acknowledged_comes_before_its_end(link: Link, killed: bool) -> None:
    link.messages.publish(STARTED)
    link.disconnect()
    if killed:
        link.restart()
    else:
        link.messages.publish(ENDED)
    link.connect()
    assert link.sent == [STARTED, STARTED, INTERRUPTED if killed else ENDED]


def test_a_start_for_which_the_queue_had_no_room_comes_before_its_end(link: Link) -> None:
    for message in (STARTED, ENDED):
        link.refuse_next = 1
        link.messages.publish(message)
    assert link.sent == []
    assert not link.messages.acknowledged(99)  # the answer to another message
    link.acknowledge()
    assert link.sent == [STARTED, ENDED] and link.files == []


@pytest.mark.parametrize("renamed", [{"node": "study"}, {"base_topic": "home/tone"}])
def test_a_device_that_is_renamed_ends_the_episode_under_the_name_of_its_start(
    link: Link, renamed: dict[str, str]
) -> None:
    link.messages.publish(STARTED)
    link.acknowledge()
    link.restart(**renamed)
    link.is_connected = True
    link.messages.connected()  # before what is retained under the old name is cleared
    assert link.topics == ["roomtone/kitchen/episode", "roomtone/kitchen/episode"]
    assert link.sent == [STARTED, INTERRUPTED]
    link.messages.publish(SECOND)
    assert (
        link.topics[-1] == f"{renamed.get('base_topic', 'roomtone')}/{renamed.get('node', 'kitchen')}/episode"
    )
    link.messages.publish(SECOND_ENDED)
    link.acknowledge()
    assert len(link.sent) == 4 and link.files == []


def test_messages_that_are_never_acknowledged_are_bounded(link: Link) -> None:
    for _ in range(2 * MAX_WAITING):
        link.messages.publish(ENDED)
    link.restart()
    link.sent.clear()
    link.connect()
    assert len(link.sent) == MAX_WAITING


def test_an_ended_episode_leaves_no_file(link: Link) -> None:
    link.messages.publish(STARTED)
    assert link.files == ["link.episode"]
    link.messages.publish(ENDED)
    link.acknowledge()
    assert link.files == []


def test_a_file_that_cannot_be_written_is_said_once_and_again_when_it_fails_anew(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        link.break_folder()
        link.messages.publish(STARTED)
        link.messages.note(msgspec.structs.replace(STARTED, peak=0.8))
        assert sum("[episode_not_saved]" in line for line in caplog.messages) == number
        link.repair_folder()
        link.messages.publish(ENDED)
