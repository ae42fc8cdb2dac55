"""The public numbers of events: `boot`, `seq` and `id` are the link's own, and follow from the ear's counter.

The ear counts its utterances (`n`, within a session); `seq` is `n` plus a constant. What the ear skips is skipped in
`seq`, too, so that a loss on the way is a gap that every subscriber sees; what it repeats has the same numbers. The
file lies beside the journal, in memory on a device: it survives the process and ends with the machine, and then `boot`
changes. It is written before an event is published or acknowledged.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from ulid import ULID

from edge.protocol import BootId, Count, LastEvent, SessionId
from edge.util import atomic_file
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)


class Numbers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of the file."""

    boot: BootId
    began_ms: Count
    """When the numbers of this boot began, in milliseconds since 1970: the time in the ids."""
    session: SessionId
    offset: int = 0
    """`seq` minus `n`."""
    first_n: Count = 1
    """Lower numbers have another offset, or none."""
    last_n: Count = 0

    @property
    def last_seq(self) -> int:
        """The sequence number that was assigned last."""
        return self.offset + self.last_n


class EventNumber(Struct, frozen=True):
    """The public numbers of one event."""

    id: str
    boot: str
    seq: int
    repeated: bool
    """Whether the ear has said it before."""


class Numbering:
    """`path` None: kept by this process only. `wall` returns seconds since 1970."""

    def __init__(self, path: Path | None, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._failed = False
        self._numbers = self._read() or Numbers(
            boot=secrets.token_hex(4), began_ms=max(0, round(wall() * 1000)), session="0" * 16
        )

    @property
    def last(self) -> LastEvent:
        """Boot and sequence number of the event that was numbered last."""
        return LastEvent(self._numbers.boot, self._numbers.last_seq)

    def begin(self, session: str, first: int) -> None:
        """An ear has connected: it goes on with its session, or begins another one with utterance `first`."""
        now = self._numbers
        if session != now.session:
            self._numbers = msgspec.structs.replace(
                now, session=session, offset=now.last_seq + 1 - first, first_n=first, last_n=first - 1
            )

    def assign(self, n: int, most_missing: int) -> EventNumber | None:
        """Return the numbers of utterance `n` of the session that `begin` was last called with.

        Any `n` up to the last one is `repeated`: the same `n`, the same numbers. None: it is older than the
        session or than a jump, so its numbers are not known. Of those missing before `n`, at most
        `most_missing` leave a gap in `seq`; more are a jump.
        """
        now = self._numbers
        if n < now.first_n:
            return None
        if n > now.last_n:
            excess = n - now.last_n - 1 - most_missing
            if excess > 0:
                log.warning("[jump] the ear has skipped %d utterances: more than time allows", excess)
                now = msgspec.structs.replace(now, offset=now.offset - excess, first_n=n)
            self._save(msgspec.structs.replace(now, last_n=n))
            repeated = False
        else:
            repeated = True
        seq = self._numbers.offset + n
        return EventNumber(self._id(seq), self._numbers.boot, seq, repeated)

    def _id(self, seq: int) -> str:
        """48 bits of time, 32 of `boot`, 48 of `seq`: nothing in it comes from the ear."""
        numbers = self._numbers
        head = (numbers.began_ms % 2**48).to_bytes(6, "big") + bytes.fromhex(numbers.boot)
        return str(ULID.from_bytes(head + (seq % 2**48).to_bytes(6, "big")))

    def _save(self, numbers: Numbers) -> None:
        self._numbers = numbers
        if self._path is None:
            return
        try:
            atomic_file.write(self._path, msgspec.json.encode(numbers), 0o600)
        except OSError as error:
            if not self._failed:
                log.warning(
                    "[numbers_not_saved] %s cannot be written (%s): another boot follows", self._path, error
                )
            self._failed = True
        else:
            self._failed = False

    def _read(self) -> Numbers | None:
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Numbers)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                "[numbers_damaged] %s cannot be read (%s): another boot begins", self._path, in_words(error)
            )
            return None
