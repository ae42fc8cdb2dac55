"""Notices events that are missing at the end: nothing follows them, so that no sequence number shows the gap.

A device states its last number in `info` (retained). What of it does not arrive is asked for, and recorded as lost when
it does not come, so that every event is either stored or part of a recorded gap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from dashboard.db.statements import insert
from dashboard.db.tables import boots, events, lost, rooms
from dashboard.recorder.admission import EVENTS_PER_S, INITIAL_EVENTS
from dashboard.recorder.gaps import ACTIVE_MS, REPLAY_TIMEOUTS_MS, Gap
from edge.protocol import LastEvent

log = logging.getLogger(__name__)

GRACE_MS: Final = 5_000
"""`info` may overtake the events that it counts."""
MAX_TAILS: Final = 20_000


@dataclass
class _Tail:
    boot: str
    seq: int
    noted: int
    asked: int = 0
    asks: int = 0


class TailTracker:
    """`is_online(node)` tells whether a device is connected; `request_replay(gap)` sends the command if it can."""

    def __init__(
        self, engine: Engine, is_online: Callable[[str], bool], request_replay: Callable[[Gap], bool]
    ) -> None:
        self._engine = engine
        self._is_online = is_online
        self._request_replay = request_replay
        self._tails: dict[str, _Tail] = {}

    def note(self, node: str, last: LastEvent, now_ms: int) -> None:
        """Note the last number of a device; one that has grown gets its time to arrive again."""
        before = self._tails.get(node)
        if last.seq and (before is None or (before.boot, before.seq) != (last.boot, last.seq)):
            if before is None and len(self._tails) >= MAX_TAILS:
                return
            self._tails[node] = _Tail(last.boot, last.seq, now_ms)

    def check(self, now_ms: int, busy: Collection[str] = ()) -> list[Gap]:
        """Request the tails that are due, except of the devices in `busy`; return the gaps requested.

        Database errors (`SQLAlchemyError`) are not caught.
        """
        requested = []
        for node, tail in list(self._tails.items()):
            if now_ms - tail.noted < GRACE_MS or node in busy:
                continue
            with self._engine.begin() as connection:
                gap = self._missing(connection, node, tail, now_ms)
            if gap is None:
                del self._tails[node]
            elif self._is_due(tail, now_ms) and self._is_online(node) and self._request_replay(gap):
                tail.asked, tail.asks = now_ms, tail.asks + 1
                log.info("[gap] %s: events %d to %d are missing at the end", node, gap.from_seq, gap.to_seq)
                requested.append(gap)
        return requested

    def _missing(self, connection: Connection, node: str, tail: _Tail, now_ms: int) -> Gap | None:
        """Return what is missing; None if nothing is, or if it was given up now."""
        room = connection.execute(
            select(rooms.c.id, rooms.c.first_seen).where(rooms.c.node == node)
        ).one_or_none()
        if room is None:
            return None
        known = _last_known(connection, room.id, tail.boot)
        # Of a boot without any record nothing is asked for: it may have been erased.
        if not known or known >= tail.seq:
            return None
        plausible = INITIAL_EVENTS + EVENTS_PER_S * max(0, now_ms - room.first_seen) / 1000
        first = known + 1 if tail.seq - known <= plausible else tail.seq - INITIAL_EVENTS + 1
        gap = Gap(node, tail.boot, max(known + 1, first), tail.seq)
        asked_enough = tail.asks >= len(REPLAY_TIMEOUTS_MS) and now_ms - tail.asked >= REPLAY_TIMEOUTS_MS[-1]
        if not asked_enough and now_ms - tail.noted < ACTIVE_MS:
            return gap
        log.warning("[lost] %s: events %d to %d of this boot are lost", node, gap.from_seq, gap.to_seq)
        row = {
            "room_id": room.id,
            "boot": tail.boot,
            "from_seq": gap.from_seq,
            "to_seq": gap.to_seq,
            "found": now_ms,
        }
        connection.execute(insert(connection, lost).on_conflict_do_nothing(), [row])
        return None

    def _is_due(self, tail: _Tail, now_ms: int) -> bool:
        return not tail.asks or now_ms - tail.asked >= REPLAY_TIMEOUTS_MS[min(tail.asks, 3) - 1]


def _last_known(connection: Connection, room: int, boot: str) -> int:
    """The last number of a boot that is stored, lost, or known otherwise; 0: none."""
    return max(
        connection.execute(
            select(func.max(column)).where(table.c.room_id == room, table.c.boot == boot)
        ).scalar()
        or 0
        for table, column in ((events, events.c.seq), (lost, lost.c.to_seq), (boots, boots.c.complete_to))
    )
