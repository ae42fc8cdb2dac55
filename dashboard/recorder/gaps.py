"""Finds events that are missing, by `boot` and `seq`, has them repeated, and says in the end which are lost.

Everything is read from the database, so several recorders on one subscription, of which each sees only a part,
come to the same result, and a restart forgets nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, func, select

from dashboard.db.tables import boots, events, lost, rooms
from dashboard.recorder.writer import insert

log = logging.getLogger(__name__)

SETTLE_MS: Final = 3_000
"""An event may overtake another on its way through two recorders or a reconnection."""
PATIENCE_MS: Final = (10_000, 60_000, 300_000)
"""How long to wait after each request; after the last the events are lost."""
ALIVE_MS: Final = 86_400_000
"""A start of an ear of which nothing came for a day is not asked about any more."""
STEP: Final = 10_000


@dataclass(frozen=True)
class Gap:
    """Missing events of one start of an ear, both ends included."""

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
    """When its gap was asked for last; 1: there is a gap, nobody has asked yet; 0: no gap is known."""
    asks: int


class _Behind(NamedTuple):
    """The first event behind a gap."""

    seq: int
    received: int


class Gaps:
    """`can_ask` says whether a room is there; `ask` sends the request and says whether it could."""

    def __init__(self, engine: Engine, can_ask: Callable[[str], bool], ask: Callable[[Gap], bool]) -> None:
        self._engine = engine
        self._can_ask = can_ask
        self._ask = ask
        self._looked_at = 0

    def check(self, now_ms: int) -> list[Gap]:
        """Looks at what came since the last time and at what is still open; returns what it asked for."""
        with self._engine.begin() as connection:
            found = self._find(connection, now_ms)
        self._looked_at = now_ms
        asked = []
        for gap in found:
            if self._ask(gap):
                log.info(
                    "%s: events %d to %d are missing, asked for them", gap.node, gap.from_seq, gap.to_seq
                )
                asked.append(gap)
        return asked

    def _find(self, connection: Connection, now_ms: int) -> list[Gap]:
        """The gaps that are claimed for asking. In one transaction, and one statement for all that have none."""
        begin = max(self._looked_at - 2 * SETTLE_MS, now_ms - ALIVE_MS)
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
                ),
                func.count(events.c.seq.distinct()),
                func.max(events.c.seq),
            )
            .join(rooms, rooms.c.id == boots.c.room_id)
            .join(events, new & (events.c.seq > boots.c.complete_to))
            .where(boots.c.touched >= now_ms - ALIVE_MS, (boots.c.touched >= begin) | (boots.c.asked > 0))
            .group_by(boots.c.room_id, rooms.c.node, boots.c.boot)
        )
        whole, gaps, busy = [], [], set()
        for *row, count, last in connection.execute(statement).all():
            boot = _Boot(*row)
            if not boot.asked and count == last - boot.complete_to:
                whole.append({"the_room": boot.room, "the_boot": boot.boot, "complete_to": last})
                continue
            # A room repeats one gap at a time: a second request would end the first.
            gap = self._look(connection, boot, now_ms, boot.node not in busy and self._can_ask(boot.node))
            if gap is not None:
                gaps.append(gap)
                busy.add(gap.node)
        if whole:
            own = (boots.c.room_id == bindparam("the_room")) & (boots.c.boot == bindparam("the_boot"))
            connection.execute(boots.update().where(own).values(complete_to=bindparam("complete_to")), whole)
        return gaps

    def _look(self, connection: Connection, boot: _Boot, now_ms: int, may_ask: bool) -> Gap | None:
        """Moves `complete_to` on as far as it goes; the gap behind it, if it is time to ask for it."""
        complete_to, behind = self._walk(connection, boot, boot.complete_to)
        asked, asks = boot.asked, boot.asks
        if asks and complete_to > boot.complete_to:
            asked, asks = now_ms, 1  # The room is repeating: its patience begins anew.
        while behind is not None and asks >= len(PATIENCE_MS) and now_ms - asked >= PATIENCE_MS[-1]:
            self._give_up(connection, boot, complete_to + 1, behind.seq - 1, now_ms)
            asked, asks = 1, 0
            complete_to, behind = self._walk(connection, boot, behind.seq)
        if behind is None:
            asked, asks = 0, 0
        else:
            asked = asked or 1
        row = (boots.c.room_id == boot.room) & (boots.c.boot == boot.boot)
        if (complete_to, asked, asks) != (boot.complete_to, boot.asked, boot.asks):
            values = {"complete_to": complete_to, "asked": asked, "asks": asks}
            connection.execute(boots.update().where(row).values(**values))
        if behind is None or not may_ask:
            return None
        if now_ms - (asked if asks else behind.received) < (PATIENCE_MS[asks - 1] if asks else SETTLE_MS):
            return None
        # Only one of several recorders asks.
        claim = boots.update().where(row, boots.c.asked == asked, boots.c.asks == asks)
        if connection.execute(claim.values(asked=now_ms, asks=asks + 1)).rowcount != 1:
            return None
        return Gap(boot.node, boot.boot, complete_to + 1, behind.seq - 1)

    def _walk(self, connection: Connection, boot: _Boot, complete_to: int) -> tuple[int, _Behind | None]:
        """The last number without a gap before it, and the first event behind the gap."""
        while True:
            statement = (
                select(events.c.seq, events.c.received)
                .where(events.c.room_id == boot.room, events.c.boot == boot.boot, events.c.seq > complete_to)
                .order_by(events.c.seq)
                .limit(STEP)
            )
            found = [_Behind(*row) for row in connection.execute(statement)]
            for event in found:
                if event.seq > complete_to + 1:
                    return complete_to, event
                complete_to = event.seq
            if len(found) < STEP:
                return complete_to, None

    def _give_up(self, connection: Connection, boot: _Boot, first: int, last: int, now_ms: int) -> None:
        log.warning("%s: events %d to %d of this start are lost", boot.node, first, last)
        row = {"room_id": boot.room, "boot": boot.boot, "from_seq": first, "to_seq": last, "found": now_ms}
        connection.execute(insert(connection, lost).on_conflict_do_nothing(), [row])
