"""Joins the rooms of the database with the live ones.

Looks into the database every few seconds: a room that was recorded is shown even when its device is gone, and what
another program wrote (`roomtone hub simulate`, a restored backup) is seen at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final, NoReturn

from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.engine import describe_error
from dashboard.db.history import History
from dashboard.live.decode import Incoming
from dashboard.live.feed import Feed
from dashboard.live.registry import RECENT_UTTERANCES
from edge import protocol

log = logging.getLogger(__name__)

INTERVAL_S: Final = 2.0
SHARE: Final = 0.1
"""At most so much of the time is spent on it, however many rooms there are."""


class RecordedRooms:
    """Runs on the event loop; queries run in a thread."""

    def __init__(self, feed: Feed, history: History) -> None:
        self._feed = feed
        self._history = history
        self._loaded: dict[str, int] = {}
        """For each room: the time of its newest recorded utterance when its utterances were loaded."""
        self._failed = False

    async def run(self) -> NoReturn:
        """Synchronise every 2 s, or less often where it takes long, until cancelled."""
        pause = INTERVAL_S
        while True:
            await asyncio.sleep(pause)
            begin = time.monotonic()
            await self.synchronise()
            pause = max(INTERVAL_S, (time.monotonic() - begin) / SHARE)

    async def synchronise(self) -> None:
        """Synchronise once. A database that does not answer changes nothing."""
        try:
            rooms = await asyncio.to_thread(self._history.recorded_rooms)
            stale = [node for node, (_, newest) in rooms.items() if self._is_behind(node, newest)]
            recent = await asyncio.to_thread(self._history.recent_events, stale, RECENT_UTTERANCES)
        except SQLAlchemyError as error:
            if not self._failed:
                log.error("the database does not answer: %s", describe_error(error))
            self._failed = True
            return
        self._failed = False
        self._feed.restore(Incoming(node, protocol.EVENT.leaf, event) for node, event in recent)
        self._loaded = {node: newest for node, (_, newest) in rooms.items()}
        self._feed.set_recorded({node: name for node, (name, _) in rooms.items()})

    def _is_behind(self, node: str, newest: int) -> bool:
        """Return whether the database has utterances that the live state may lack."""
        if newest <= self._loaded.get(node, 0):
            return False
        room = self._feed.registry.rooms.get(node)
        return room is None or room.last is None or round(room.last.at * 1000) < newest
