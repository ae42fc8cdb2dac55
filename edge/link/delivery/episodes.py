"""The messages of episodes of agitation: for every episode that has started, an end is published at last.

While an episode is under way, the message of its end lies in a file on disk, marked as interrupted, below the ends that
the broker has not answered (one JSON object a line). A link that finds some there at its start publishes them: the link
before was killed, or the power failed. Each is removed once the broker has answered it; killed in between, the link
publishes it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge.protocol import Episode, encode
from edge.util import atomic_file
from edge.util.errors import reason
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)

MAX_ENDS: Final = 20
"""Ends that wait for an answer of the broker; the oldest are dropped."""


class EpisodeMessages:
    """`path` is the file; `send` passes a message to the connection and returns its number, None without one."""

    def __init__(self, path: Path, send: Callable[[Episode], int | None]) -> None:
        self._path = path
        self._send = send
        self._failed = False
        self._ends = self._read()
        """Ends that the broker has not answered."""
        self._numbers: dict[int, Episode] = {}
        """Those of them that were sent by this connection."""
        self._under_way: Episode | None = None
        """The end of the episode that is under way, as it would be after a power cut."""
        self._start_sent = True
        """Whether there was a connection when it started."""

    @property
    def unpublished_end(self) -> Episode | None:
        """The last end that the broker has not answered; after a start, that of the link before."""
        return self._ends[-1] if self._ends else None

    def publish(self, episode: Episode) -> None:
        """Publish a start at once, and an end at once or with the next connection."""
        if episode.event_type == "started":
            self.note(episode)
            self._start_sent = self._send(episode) is not None
            return
        self._under_way = None
        self._ends = [*self._ends, episode][-MAX_ENDS:]
        self._save()
        number = self._send(episode)
        if number is not None:
            self._numbers[number] = episode
        elif not self._start_sent:
            # In a long outage: no subscriber knows of this episode.
            self._ends.remove(episode)
            self._save()

    def note(self, episode: Episode) -> None:
        """Write the end of an episode that is under way to disk, as it would be after a power cut."""
        self._under_way = msgspec.structs.replace(episode, event_type="ended", interrupted=True)
        self._save()

    def connected(self) -> None:
        """Publish the ends that the broker has not answered."""
        sent = [(self._send(end), end) for end in self._ends]
        self._numbers = {number: end for number, end in sent if number is not None}

    def acknowledged(self, number: int) -> bool:
        """Handle an answer of the broker, a refusal too; returns False when the number is not that of an end."""
        end = self._numbers.pop(number, None)
        if end is None:
            return False
        self._ends = [one for one in self._ends if one is not end]
        self._save()
        return True

    def _save(self) -> None:
        kept = self._ends if self._under_way is None else [*self._ends, self._under_way]
        try:
            if kept:
                atomic_file.update(self._path, b"\n".join(map(encode, kept)), 0o600)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._failed:
            log.warning(
                "[episode_not_saved] %s cannot be written (%s): after a power cut, an episode has no end",
                self._path,
                reason(error),
            )
        self._failed = True

    def _read(self) -> list[Episode]:
        try:
            lines = self._path.read_bytes().split(b"\n")
            return [msgspec.json.decode(line, type=Episode) for line in lines][-MAX_ENDS:]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                "[episode_damaged] %s cannot be read (%s): the end of an episode is not published",
                self._path,
                in_words(error),
            )
            return []
