"""The messages of episodes of agitation: for every episode that was published as started, an end is published at last.

In a file on disk lie the messages that the broker has not answered, in order, and while an episode is under way, its
end, marked as interrupted (one JSON object a line). A link that finds some there at its start publishes them: the link
before was killed, or the power failed. Each is removed once the broker has answered it; killed in between, the link
publishes it twice. Each has the name that the device had then, so a renamed device publishes them on the old topic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from edge.config.settings import BaseTopic, Config
from edge.link.state.directories import device_file
from edge.protocol import EPISODE, Episode, NodeId, topic
from edge.util import atomic_file
from edge.util.errors import reason
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)

MAX_WAITING: Final = 40
"""Messages that wait for an answer of the broker; the oldest are dropped."""


class Waiting(Struct, frozen=True, forbid_unknown_fields=True):
    """A message that the broker has not answered, and the name of the device at that time."""

    base_topic: BaseTopic
    node: NodeId
    episode: Episode

    @property
    def topic(self) -> str:
        """The topic on which it is published."""
        return topic(self.base_topic, self.node, EPISODE)


def path_of(config: Config) -> Path:
    """Return the file of a device, which stays the same where the device is renamed."""
    return device_file(config, "episode")


def read(path: Path) -> list[Waiting]:
    """Return what waits in a file, in order; empty where there is none. That it is damaged is logged."""
    try:
        lines = path.read_bytes().split(b"\n")
        return [msgspec.json.decode(line, type=Waiting) for line in lines][-MAX_WAITING:]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        log.warning(
            "[episode_damaged] %s cannot be read (%s): the end of an episode is not published",
            path,
            in_words(error),
        )
        return []


class EpisodeMessages:
    """Publishes starts and ends in order, and each until the broker has answered it.

    `send` passes a message to the connection, with its topic, and returns its number, None where it cannot be sent.
    """

    def __init__(
        self, path: Path, base_topic: str, node: str, send: Callable[[str, Episode], int | None]
    ) -> None:
        self._path = path
        self._base_topic, self._node = base_topic, node
        self._send = send
        self._failed = False
        self._up = False
        self._waiting = read(path)
        self._numbers: dict[int, Waiting] = {}
        """Those of them that were sent by this connection."""
        self._under_way: Waiting | None = None
        """The end of the episode that is under way, as it would be after a power cut."""
        self._unpublished_start: Waiting | None = None
        """Its start, where there was no connection since: no subscriber knows of the episode."""

    @property
    def unpublished_end(self) -> Episode | None:
        """The last end that the broker has not answered; after a start, that of the link before."""
        ends = [one.episode for one in self._waiting if one.episode.event_type == "ended"]
        return ends[-1] if ends else None

    def publish(self, episode: Episode) -> None:
        """Publish a start or an end, at once or with the next connection.

        Of an episode that starts and ends without a connection, nothing is published.
        """
        named = Waiting(self._base_topic, self._node, episode)
        if episode.event_type == "started":
            self._unpublished_start = named
            self.note(episode)
        else:
            self._under_way = None
            if self._unpublished_start is None:
                self._wait(named)
            self._unpublished_start = None
        self.publish_waiting()

    def note(self, episode: Episode) -> None:
        """Write the end of an episode that is under way to disk, as it would be after a power cut."""
        end = msgspec.structs.replace(episode, event_type="ended", interrupted=True)
        self._under_way = Waiting(self._base_topic, self._node, end)
        self._save()

    def connected(self) -> None:
        """Note that there is a connection, and publish what belongs to former names of the device.

        Call it before what is retained under those names is cleared, and `publish_waiting` when the device is online.
        """
        self._up = True
        self._numbers.clear()
        own = topic(self._base_topic, self._node, EPISODE)
        self._send_all([one for one in self._waiting if one.topic != own])

    def disconnected(self) -> None:
        """Note that the connection is lost: what was not answered will be sent again."""
        self._up = False
        self._numbers.clear()

    def publish_waiting(self) -> None:
        """Publish what waits and was not sent by this connection."""
        if not self._up:
            return
        if self._unpublished_start is not None:
            start, self._unpublished_start = self._unpublished_start, None
            self._wait(start)
        self._send_all(self._waiting)

    def acknowledged(self, number: int) -> bool:
        """Handle an answer of the broker, a refusal too; returns False when the number is not one of ours."""
        answered = self._numbers.pop(number, None)
        if answered is not None:
            self._waiting = [one for one in self._waiting if one is not answered]
            self._save()
        # After an answer there is room for a message that could not be sent because too many were waiting.
        self.publish_waiting()
        return answered is not None

    def _wait(self, message: Waiting) -> None:
        """Before it is sent: what the broker may know of is on disk."""
        self._waiting = [*self._waiting, message][-MAX_WAITING:]
        self._save()

    def _send_all(self, messages: list[Waiting]) -> None:
        sent = {id(one) for one in self._numbers.values()}
        for one in messages:
            if id(one) in sent:
                continue
            number = self._send(one.topic, one.episode)
            if number is None:
                return  # The next ones come after it.
            self._numbers[number] = one

    def _save(self) -> None:
        kept = [*self._waiting]
        if self._under_way is not None and self._unpublished_start is None:
            kept.append(self._under_way)
        try:
            if kept:
                atomic_file.update(self._path, b"\n".join(map(msgspec.json.encode, kept)), 0o600)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(error)
        else:
            self._failed = False

    def _warn(self, error: OSError) -> None:
        if not self._failed:
            log.warning(
                "[episode_not_saved] %s cannot be written (%s): after a power cut, an episode has no end",
                self._path,
                reason(error),
            )
        self._failed = True
