"""Finds gaps in the sequence numbers (`boot`, `seq`), requests replays, and records what is lost for good.

All state is in the database: several recorders on one shared subscription, each of which receives only a part of the
events, come to the same result, and a restart loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, select

from dashboard.db.statements import insert
from dashboard.db.tables import boots, events, lost, rooms
from dashboard.recorder.admission import EVENTS_PER_S, INITIAL_EVENTS, LONGEST_BOOT_EVENTS

log = logging.getLogger(__name__)

REORDER_MS: Final = 3_000
"""Events may arrive out of order, through two recorders or a reconnection: a gap younger than this is left alone."""
REPLAY_TIMEOUTS_MS: Final = (10_000, 60_000, 300_000)
"""How long to wait after each replay request; after the last one the events are lost."""
ACTIVE_MS: Final = 86_400_000
"""No replay is requested of a boot from which nothing came for a day."""
STEP: Final = 10_000


@dataclass(frozen=True)
class Gap:
    """Missing events of one boot, both ends included."""

    node: str
    boot: str
    from_seq: int
    to_seq: int


@dataclass(frozen=True)
class _Boot:
    room: int
    node: str
    boot: str
    complete_to: int
    asked: int
    """When the last replay was requested; 1: there is a gap, no request yet; 0: no known gap."""
    asks: int
    first_seen: int

    def can_have_published(self, events: int, now_ms: int) -> bool:
        """Return whether a device can have published so many events that were not received."""
        return events <= INITIAL_EVENTS + EVENTS_PER_S * max(0, now_ms - self.first_seen) / 1000


class _FirstAfterGap(NamedTuple):
    """The first event behind a gap."""

    seq: int
    received: int


class GapTracker:
    """Finds gaps in the sequence numbers of events and requests the missing events from the device.

    `is_online(node)` says whether a device is connected; `request_replay(gap)` sends the command if it can.
    """

    def __init__(
        self, engine: Engine, is_online: Callable[[str], bool], request_replay: Callable[[Gap], bool]
    ) -> None:
        self._engine = engine
        self._is_online = is_online
        self._request_replay = request_replay
        self._checked_at = 0

    def check(self, now_ms: int) -> list[Gap]:
        """Check the boots with new events or an open gap; request replays and return the gaps requested."""
        with self._engine.begin() as connection:
            found = self._find(connection, now_ms)
        self._checked_at = now_ms
        requested = []
        for gap in found:
            if self._request_replay(gap):
                log.info(
                    "[gap] %s: events %d to %d are missing, replay requested",
                    gap.node,
                    gap.from_seq,
                    gap.to_seq,
                )
                requested.append(gap)
        return requested

    def _find(self, connection: Connection, now_ms: int) -> list[Gap]:
        """Return the gaps that this recorder may request now; all boots without a gap are updated by one statement."""
        begin = max(self._checked_at - 2 * REORDER_MS, now_ms - ACTIVE_MS)
        new = (events.c.room_id == boots.c.room_id) & (events.c.boot == boots.c.boot)
        statement = (
            select(
                *(
                    boots.c.room_id,
                    rooms.c.node,
                    boots.c.boot,
                    boots.c.complete_to,
                    boots.c.asked,
                    boots.c.asks,
                    rooms.c.first_seen,
                ),
                func.count(events.c.seq.distinct()),
                func.max(events.c.seq),
            )
            .join(rooms, rooms.c.id == boots.c.room_id)
            .join(events, new & (events.c.seq > boots.c.complete_to))
            .where(boots.c.touched >= now_ms - ACTIVE_MS, (boots.c.touched >= begin) | (boots.c.asked > 0))
            .group_by(boots.c.room_id, rooms.c.node, boots.c.boot, rooms.c.first_seen)
        )
        complete, gaps, busy = [], [], set()
        for *row, count, last in connection.execute(statement).all():
            boot = _Boot(*row)
            if not boot.asked and count == last - boot.complete_to:
                complete.append({"the_room": boot.room, "the_boot": boot.boot, "complete_to": last})
                continue
            # A device replays one gap at a time: a second request would abort the first.
            available = boot.node not in busy and self._is_online(boot.node)
            gap = self._advance(connection, boot, now_ms, available)
            if gap is not None:
                gaps.append(gap)
                busy.add(gap.node)
        if complete:
            own = (boots.c.room_id == bindparam("the_room")) & (boots.c.boot == bindparam("the_boot"))
            # In the order in which the writers of other recorders lock these rows.
            complete.sort(key=lambda row: (row["the_room"], row["the_boot"]))
            connection.execute(
                boots.update().where(own).values(complete_to=bindparam("complete_to")), complete
            )
        return gaps

    def _advance(self, connection: Connection, boot: _Boot, now_ms: int, available: bool) -> Gap | None:
        """Move `complete_to` on as far as possible; return the gap behind it if it is time for a request."""
        complete_to, behind = self._contiguous(connection, boot, boot.complete_to)
        asked, asks = boot.asked, boot.asks
        if asks and complete_to > boot.complete_to:
            asked, asks = now_ms, 1  # The replay has begun: the timeouts start again.
        while (
            behind is not None
            and asks >= len(REPLAY_TIMEOUTS_MS)
            and now_ms - asked >= REPLAY_TIMEOUTS_MS[-1]
        ):
            self._record_lost(connection, boot, complete_to + 1, behind.seq - 1, now_ms)
            asked, asks = 1, 0
            complete_to, behind = self._contiguous(connection, boot, behind.seq)
        if behind is not None and not boot.can_have_published(behind.seq - complete_to - 1, now_ms):
            complete_to, behind = self._after_jump(connection, boot, complete_to, behind)
            asked, asks = 0, 0
        if behind is None:
            asked, asks = 0, 0
        else:
            asked = asked or 1
        row = (boots.c.room_id == boot.room) & (boots.c.boot == boot.boot)
        if (complete_to, asked, asks) != (boot.complete_to, boot.asked, boot.asks):
            values = {"complete_to": complete_to, "asked": asked, "asks": asks}
            connection.execute(boots.update().where(row).values(**values))
        if behind is None or not available:
            return None
        if now_ms - (asked if asks else behind.received) < (
            REPLAY_TIMEOUTS_MS[asks - 1] if asks else REORDER_MS
        ):
            return None
        # Only one of several recorders sends the request.
        claim = boots.update().where(row, boots.c.asked == asked, boots.c.asks == asks)
        if connection.execute(claim.values(asked=now_ms, asks=asks + 1)).rowcount != 1:
            return None
        return Gap(boot.node, boot.boot, complete_to + 1, behind.seq - 1)

    def _after_jump(
        self, connection: Connection, boot: _Boot, complete_to: int, behind: _FirstAfterGap
    ) -> tuple[int, _FirstAfterGap | None]:
        """Return where to go on after an implausible gap, which is not requested.

        A device that was running before this hub knew it is asked for what it can still have.
        """
        log.warning(
            "[jump] %s: sequence number %d after %d is not plausible", boot.node, behind.seq, complete_to
        )
        if complete_to == 0 and behind.seq <= LONGEST_BOOT_EVENTS:
            return behind.seq - 1 - INITIAL_EVENTS, behind
        return self._contiguous(connection, boot, behind.seq - 1)

    def _contiguous(
        self, connection: Connection, boot: _Boot, complete_to: int
    ) -> tuple[int, _FirstAfterGap | None]:
        """Return the last sequence number without a gap before it, and the first event behind the gap (if any)."""
        while True:
            statement = (
                select(events.c.seq, events.c.received)
                .where(events.c.room_id == boot.room, events.c.boot == boot.boot, events.c.seq > complete_to)
                .order_by(events.c.seq)
                .limit(STEP)
            )
            found = [_FirstAfterGap(*row) for row in connection.execute(statement)]
            for event in found:
                if event.seq > complete_to + 1:
                    # Events that were refused or given up before are not requested again.
                    skipped = self._skip_lost(connection, boot, complete_to + 1)
                    if not skipped:
                        return complete_to, event
                    complete_to = skipped
                complete_to = max(complete_to, event.seq)
            if len(found) < STEP:
                return complete_to, None

    def _skip_lost(self, connection: Connection, boot: _Boot, seq: int) -> int:
        """Return the last number of a recorded gap that contains `seq`; 0 if there is none."""
        contains = (lost.c.from_seq <= seq) & (lost.c.to_seq >= seq)
        statement = select(func.max(lost.c.to_seq)).where(
            lost.c.room_id == boot.room, lost.c.boot == boot.boot, contains
        )
        return connection.execute(statement).scalar() or 0

    def _record_lost(self, connection: Connection, boot: _Boot, first: int, last: int, now_ms: int) -> None:
        log.warning("[lost] %s: events %d to %d of this boot are lost", boot.node, first, last)
        row = {"room_id": boot.room, "boot": boot.boot, "from_seq": first, "to_seq": last, "found": now_ms}
        connection.execute(insert(connection, lost).on_conflict_do_nothing(), [row])
