"""Counts the utterances of this device, over restarts of the ear: what an ear that died had not sent is missed.

The count is kept in the runtime directory (memory): it survives the process, and ends with the machine, as the link's
numbers do (`edge.link.state.numbering`).
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from edge.protocol import Count, SessionId
from edge.util import atomic_file
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)


class Counted(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    session: SessionId
    n: Count
    """The last number."""
    acknowledged: Count
    """The last number up to which a link has acknowledged all."""


class UtteranceCounter:
    """`path` None: the count ends with this process. Not thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._failed = False
        self._state = self._read() or Counted(secrets.token_hex(8), 0, 0)

    @property
    def session(self) -> str:
        """Random id of this count: another one begins at 1 again."""
        return self._state.session

    @property
    def first(self) -> int:
        """The first number that no link has acknowledged."""
        return self._state.acknowledged + 1

    def next(self) -> int:
        """Return the number of a new utterance; it is saved before it is used."""
        self._save(Counted(self.session, self._state.n + 1, self._state.acknowledged))
        return self._state.n

    def acknowledge(self, waiting: int | None) -> None:
        """Note that everything before `waiting` is acknowledged; None: everything."""
        up_to = self._state.n if waiting is None else waiting - 1
        if up_to > self._state.acknowledged:
            self._save(Counted(self.session, self._state.n, up_to))

    def _save(self, state: Counted) -> None:
        self._state = state
        if self._path is None:
            return
        try:
            atomic_file.write(self._path, msgspec.json.encode(state), 0o600)
        except OSError as error:
            if not self._failed:
                log.warning(
                    "[count_not_saved] %s cannot be written (%s): counting in memory", self._path, error
                )
            self._failed = True
        else:
            self._failed = False

    def _read(self) -> Counted | None:
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes()[:256], type=Counted)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("[count_damaged] %s is damaged (%s): counting anew", self._path, in_words(error))
            return None
