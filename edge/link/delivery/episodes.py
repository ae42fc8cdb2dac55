"""The messages of episodes of agitation: for every episode that has started, an end is published at last.

While an episode is under way, the message of its end lies in a file on disk, marked as interrupted. A link that finds
one there at its start publishes it: the link before was killed, or the power failed. The file is removed once the
broker has answered that message; killed in between, the link publishes it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.protocol import Episode, encode
from edge.util import atomic_file
from edge.util.errors import reason
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)


class EpisodeMessages:
    """`path` is the file; `send` passes a message to the connection and returns its number, None without one."""

    def __init__(self, path: Path, send: Callable[[Episode], int | None]) -> None:
        self._path = path
        self._send = send
        self._failed = False
        self._end = self._read()
        """An end that the broker has not answered."""
        self._number: int | None = None

    @property
    def unpublished_end(self) -> Episode | None:
        """The end that the broker has not answered; after a start, that of the link before."""
        return self._end

    def publish(self, episode: Episode) -> None:
        """Publish a start at once, and an end at once or with the next connection."""
        self.note(episode)
        self._number = self._send(episode)
        self._end = episode if episode.event_type == "ended" else None

    def note(self, episode: Episode) -> None:
        """Write the end of an episode to disk, of one that is under way as it would be after a power cut."""
        if episode.event_type == "started":
            episode = msgspec.structs.replace(episode, event_type="ended", interrupted=True)
        try:
            atomic_file.update(self._path, encode(episode), 0o600)
        except OSError as error:
            self._warn(error)

    def connected(self) -> None:
        """Publish an end that the broker has not answered."""
        if self._end is not None:
            self._number = self._send(self._end)

    def acknowledged(self, number: int) -> bool:
        """Handle an answer of the broker, a refusal too; returns False when the number is not that of an end."""
        if self._end is None or number != self._number:
            return False
        self._end = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(error)
        return True

    def _warn(self, error: OSError) -> None:
        if not self._failed:
            log.warning(
                "[episode_not_saved] %s cannot be written (%s): after a power cut, an episode has no end",
                self._path,
                reason(error),
            )
        self._failed = True

    def _read(self) -> Episode | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Episode)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                "[episode_damaged] %s cannot be read (%s): the end of an episode is not published",
                self._path,
                in_words(error),
            )
            return None
