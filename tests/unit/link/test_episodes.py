"""Every episode that was published as started is published as ended, whatever happens to the link in between."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.link.delivery.episodes import MAX_ENDS, EpisodeMessages
from edge.protocol import Episode

STARTED = Episode(event_type="started", started_at="2026-01-01T10:00:00.000Z", peak=0.4, model="base-0.8.1")
ENDED = msgspec.structs.replace(STARTED, event_type="ended", peak=0.6)
INTERRUPTED = msgspec.structs.replace(STARTED, event_type="ended", interrupted=True)


class Link:
    """The messages of one life of a link; they are numbered over all of them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "kitchen.episode"
        self.sent: list[Episode] = []
        self.connected = True
        self.restart()

    def restart(self) -> None:
        """As after SIGKILL: only the file is left."""
        self.messages = EpisodeMessages(self._file, self._send)

    def _send(self, episode: Episode) -> int | None:
        if not self.connected:
            return None
        self.sent.append(episode)
        return len(self.sent)


@pytest.fixture
def link(tmp_path: Path) -> Link:
    return Link(tmp_path)


def test_the_end_of_a_killed_link_is_published_by_the_next_one_until_it_is_acknowledged(link: Link) -> None:
    link.messages.publish(STARTED)
    link.restart()
    assert link.messages.unpublished_end == INTERRUPTED
    link.messages.connected()
    link.messages.connected()  # the first connection broke before an answer
    assert not link.messages.acknowledged(2)
    assert link.messages.acknowledged(3)
    link.messages.connected()
    link.restart()
    link.messages.connected()
    assert link.sent == [STARTED, INTERRUPTED, INTERRUPTED]


def test_it_has_the_peak_that_was_noted_last(link: Link) -> None:
    link.messages.publish(STARTED)
    link.messages.note(msgspec.structs.replace(STARTED, peak=0.8))
    link.restart()
    assert link.messages.unpublished_end == msgspec.structs.replace(INTERRUPTED, peak=0.8)


def test_an_end_without_a_connection_survives_a_restart_as_it_was(link: Link) -> None:
    link.messages.publish(STARTED)
    link.connected = False
    link.messages.publish(ENDED)
    link.restart()
    link.connected = True
    link.messages.connected()
    assert link.sent == [STARTED, ENDED]


def test_the_answer_to_an_earlier_end_does_not_remove_the_note_of_the_next_episode(link: Link) -> None:
    link.messages.publish(ENDED)
    link.messages.publish(STARTED)
    assert link.messages.acknowledged(1)
    link.restart()
    link.messages.connected()
    assert link.sent == [ENDED, STARTED, INTERRUPTED]


@pytest.mark.parametrize("killed", [False, True])
def test_the_next_episode_does_not_replace_an_end_that_is_not_acknowledged(link: Link, killed: bool) -> None:
    link.messages.publish(STARTED)
    if killed:
        link.restart()
    else:
        link.messages.publish(ENDED)
    first = [*link.sent[1:]] or [INTERRUPTED]
    second = msgspec.structs.replace(STARTED, started_at="2026-01-01T11:00:00.000Z")
    link.messages.publish(second)
    end = msgspec.structs.replace(second, event_type="ended")
    link.messages.publish(end)
    link.sent.clear()
    link.messages.connected()
    assert link.sent == [*first, end]
    assert link.messages.acknowledged(1)
    link.restart()
    assert link.messages.unpublished_end == end
    link.messages.connected()
    assert link.sent == [*first, end, end]


def test_of_an_episode_within_an_outage_nothing_is_published(link: Link, tmp_path: Path) -> None:
    link.connected = False
    link.messages.publish(STARTED)
    link.messages.publish(ENDED)
    link.connected = True
    link.messages.connected()
    assert link.sent == []
    assert list(tmp_path.iterdir()) == []


def test_ends_that_are_never_acknowledged_are_bounded(link: Link) -> None:
    for _ in range(2 * MAX_ENDS):
        link.messages.publish(ENDED)
    link.restart()
    link.sent.clear()
    link.messages.connected()
    assert len(link.sent) == MAX_ENDS


def test_an_ended_episode_leaves_no_file(link: Link, tmp_path: Path) -> None:
    link.messages.publish(STARTED)
    link.messages.publish(ENDED)
    assert link.messages.acknowledged(2)
    assert list(tmp_path.iterdir()) == []
