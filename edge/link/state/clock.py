"""A device without a clock of its own does not know the time until a time service has told it.

Until then events are marked (`"clock": "unsynced"`), and what is stamped meanwhile and still waits is corrected as soon
as the clock is right: the difference between the wall clock and the time since the machine was started (CLOCK_BOOTTIME)
tells by how much the clock was set, also over restarts of the link.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from edge.protocol import Event
from edge.util import atomic_file
from edge.util.system_clock import boottime, machine_boot, synced
from edge.util.text.patterns import in_words

log = logging.getLogger(__name__)

STEP_S: Final = 2.0
"""A smaller change is the clock being slewed."""


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """What the next start of the link has to know about the clock.

    Stored beside the socket, until the machine stops.
    """

    boot: str
    offset: float
    """Wall clock minus boot time, by which marked events are stamped."""
    first_n: int
    """The number of the first event that was stamped since the machine was started."""


class Waiting(Protocol):
    """The interface of the outbox that the clock uses."""

    def clock_was_set(self, seconds: float, from_n: int) -> None:
        """Correct the times of the events since number `from_n`, by so many seconds."""

    def clock_is_right(self, from_n: int) -> None:
        """Remove the marks of the events since number `from_n`."""


class Clock:
    """Marks events while the time is not known, and corrects them when the clock is set.

    `waiting` holds the events; `first_n` is the number of the next one.
    """

    def __init__(
        self,
        path: Path,
        waiting: Waiting,
        first_n: int,
        *,
        is_synced: Callable[[], bool] = synced,
        wall: Callable[[], float] = time.time,
        since_boot: Callable[[], float] = boottime,
        boot: str | None = None,
    ) -> None:
        self._path = path
        self._waiting = waiting
        self._is_synced = is_synced
        self._wall = wall
        self._since_boot = since_boot
        self._boot = machine_boot() if boot is None else boot
        self._offset = wall() - since_boot()
        self._first_n = first_n
        self._marked = False
        before = self._recall()
        if before is not None:
            self._offset, self._first_n, self._marked = before.offset, before.first_n, True

    def mark(self, event: Event) -> Event:
        """Return the event as it is to be stored: with a mark while the time is not known."""
        if self._is_synced():
            return event
        if not self._marked:
            self._marked = True
            self._remember()
        return msgspec.structs.replace(event, clock="unsynced")

    def watch(self) -> None:
        """Check whether the clock was set; call it about every second."""
        offset = self._wall() - self._since_boot()
        change = offset - self._offset
        if abs(change) >= STEP_S:
            log.info("[clock_set] the clock was set by %+.1f s", change)
            self._offset = offset
            self._waiting.clock_was_set(change, self._first_n)
            if self._marked:
                self._remember()
        if self._marked and self._is_synced():
            self._marked = False
            log.info("[clock_synced] the clock is right now: what waits has its right time")
            self._waiting.clock_is_right(self._first_n)
            self._path.unlink(missing_ok=True)

    def _recall(self) -> Memory | None:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Memory)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                "[clock_state_damaged] %s cannot be read (%s): beginning anew", self._path, in_words(error)
            )
            return None
        return found if found.boot == self._boot else None

    def _remember(self) -> None:
        try:
            atomic_file.write(
                self._path, msgspec.json.encode(Memory(self._boot, self._offset, self._first_n))
            )
        except OSError as error:
            log.warning("%s cannot be written (%s)", self._path, error)
