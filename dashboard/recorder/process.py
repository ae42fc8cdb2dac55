"""The recorder's loop: take what arrived, write it in one transaction, acknowledge it. What cannot be written stays
unacknowledged, so the broker keeps it: a full disk or a database that restarts costs time and no event."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db.engine import reason
from dashboard.live.decode import decode
from dashboard.recorder import retention
from dashboard.recorder.gaps import Gap, Gaps
from dashboard.recorder.session import Session
from dashboard.recorder.writer import Received, Writer
from edge.mqtt.events import Message
from edge.protocol import messages
from edge.protocol.messages import Command, ContractError, Event, Info
from edge.util import timestamps

log = logging.getLogger(__name__)

BATCH: Final = 1000
GATHER_S: Final = 0.05
"""How long a first message waits for others: the price of a commit is shared, and a page is not late."""
GAPS_EVERY_S: Final = 2.0
FORGET_EVERY_S: Final = 3600.0
READY_S: Final = 10.0
"""Whoever was told `ready` may publish: what came before the first subscription, nobody keeps."""
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


class Recorder:
    """One loop in the caller's thread; `stop` may be called from a signal handler."""

    def __init__(self, engine: Engine, session: Session, base_topic: str, keep_days: int) -> None:
        self.written = 0
        self.doubles = 0
        self.refused = 0
        self._engine = engine
        self._session = session
        self._base_topic = base_topic
        self._keep_days = keep_days
        self._writer = Writer(engine)
        self._gaps = Gaps(engine, self._is_there, self._ask)
        self._online: set[str] = set()
        self._stop = threading.Event()
        self._failing = ""

    def stop(self) -> None:
        """Ends the loop after the batch that is being written."""
        self._stop.set()

    def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Records until `stop`. `ready` is called when the broker keeps what comes, or is not there to do so."""
        self._session.start()
        end = time.monotonic() + READY_S
        while not self._stop.is_set() and time.monotonic() < end:
            if self._session.subscribed.wait(0.1):
                break
        ready()
        next_gaps = time.monotonic() + GAPS_EVERY_S
        next_forget = time.monotonic() + 60.0
        try:
            while not self._stop.is_set():
                batch = self._gather()
                if batch:
                    self._record(batch)
                if time.monotonic() >= next_gaps:
                    next_gaps = time.monotonic() + GAPS_EVERY_S
                    self._try(lambda: self._gaps.check(_now_ms()))
                if time.monotonic() >= next_forget:
                    next_forget = time.monotonic() + FORGET_EVERY_S
                    before = _now_ms() - self._keep_days * retention.DAY_MS
                    self._try(lambda before=before: retention.forget(self._engine, before))
        finally:
            self._session.stop()
            log.info("written %d, doubles %d, refused %d", self.written, self.doubles, self.refused)

    def _gather(self) -> list[Message]:
        try:
            batch = [self._session.arrived.get(timeout=0.5)]
        except queue.Empty:
            return []
        end = time.monotonic() + GATHER_S
        while len(batch) < BATCH:
            try:
                batch.append(self._session.arrived.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _record(self, batch: Sequence[Message]) -> None:
        events: list[Received] = []
        names: dict[str, str] = {}
        now = _now_ms()
        for arrived in batch:
            try:
                node, leaf, message = decode(self._base_topic, arrived.topic, arrived.payload)
            except ContractError as error:
                self.refused += 1
                log.debug("refused: %s", error)
                continue
            if isinstance(message, Event):
                events.append(Received(node, message, now))
            elif isinstance(message, Info):
                names[node] = message.name
            elif leaf == messages.AVAILABILITY.leaf:
                (self._online.add if message == "online" else self._online.discard)(node)
        for attempt in range(1_000_000):
            if self._try(lambda: self._write(events, names)):
                break
            if self._stop.wait(RETRY_S[min(attempt, len(RETRY_S) - 1)]):
                return  # Not acknowledged: the broker sends it again.
        for arrived in batch:
            arrived.acknowledge()

    def _write(self, events: Sequence[Received], names: dict[str, str]) -> None:
        if events:
            new = self._writer.write(events)
            self.written += new
            self.doubles += len(events) - new
        for node, name in names.items():
            self._writer.name(node, name)

    def _try(self, action: object) -> bool:
        try:
            action()  # type: ignore[operator]
        except SQLAlchemyError as error:
            said = reason(error)
            if said != self._failing:
                log.error(
                    "the database does not take anything: %s; trying again, the broker keeps the events", said
                )
            self._failing = said
            return False
        if self._failing:
            log.warning("the database works again")
        self._failing = ""
        return True

    def _is_there(self, node: str) -> bool:
        return node in self._online and self._session.connected.is_set()

    def _ask(self, gap: Gap) -> bool:
        command = Command(
            transaction=secrets.token_hex(8),
            sent_at=timestamps.now(),
            boot=gap.boot,
            from_seq=gap.from_seq,
            to_seq=gap.to_seq,
        )
        topic = messages.topic(self._base_topic, gap.node, "cmd/replay")
        return self._session.publish(topic, messages.encode(command))


def _now_ms() -> int:
    return round(time.time() * 1000)
