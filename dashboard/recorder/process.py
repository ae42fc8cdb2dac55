"""The recorder's main loop: collect messages, write them in one transaction, acknowledge them.

Messages that cannot be written stay unacknowledged, so that the broker keeps them: a full disk or a database that
restarts costs time, and no event.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.db import retention
from dashboard.db.clock import guarded_ms
from dashboard.db.engine import describe_error
from dashboard.live.decode import Incoming, decode
from dashboard.recorder.admission import MAX_HELD, MAX_HELD_PER_DEVICE, Admission, RefusedRanges
from dashboard.recorder.gaps import Gap, GapTracker
from dashboard.recorder.presence import Presence
from dashboard.recorder.session import Session
from dashboard.recorder.tails import TailTracker
from dashboard.recorder.writer import Received, Writer
from dashboard.values import now_ms
from edge import protocol
from edge.mqtt.events import Message
from edge.protocol import Command, ContractError, Event, Info
from edge.util import timestamps

log = logging.getLogger(__name__)

MAX_BATCH: Final = 1000
BATCH_WINDOW_S: Final = 0.05
"""How long the first message of a batch waits for more, which then share one commit.

Only where the batch before had more than one: some brokers (ejabberd) send one message at a time, and the next one when
that is acknowledged. There the wait would be all that is waited for.
"""
GAP_CHECK_INTERVAL_S: Final = 2.0
EXPIRY_INTERVAL_S: Final = 3600.0
NOT_RECORDING_S: Final = 10.0
"""After so long without a subscription it is said that nothing is recorded."""
NEW_FLOOD_S: Final = 60.0
"""Refused events that are further apart belong to different gaps."""
RETRY_DELAYS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


class Recorder:
    """Receives the events of all rooms and writes them to the database in batches.

    Runs in the caller's thread; `stop` may be called from a signal handler.
    """

    def __init__(self, engine: Engine, session: Session, base_topic: str, keep_days: int) -> None:
        self.written = 0
        self.duplicates = 0
        self.rejected = 0
        self.refused = 0
        """Events beyond the budget of their device."""
        self._engine = engine
        self._session = session
        self._base_topic = base_topic
        self._keep_days = keep_days
        self._writer = Writer(engine)
        self._gaps = GapTracker(engine, self._is_online, self._request_replay)
        self._tails = TailTracker(engine, self._is_online, self._request_replay)
        self._admission = Admission(self._writer.last_received)
        self._refused = RefusedRanges()
        self._refused_at = 0.0
        self._held: list[Message] = []
        """Events beyond the budget of their device, which are not acknowledged yet."""
        self._presence = Presence()
        self._more_came = False
        """Whether the last batch had more than one message."""
        self._stop = threading.Event()
        self._database_error = ""

    def stop(self) -> None:
        """End the loop after the batch that is being written."""
        self._stop.set()

    def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Record until `stop` is called. `ready` is called when it records: when the broker has subscribed it."""
        # The clock of a new hub begins with the present time, not with that of events that a device has kept.
        self._with_database(lambda: guarded_ms(self._engine))
        self._session.start()
        self._wait_until_subscribed()
        if not self._stop.is_set():
            ready()
        next_gap_check = time.monotonic() + GAP_CHECK_INTERVAL_S
        next_expiry = time.monotonic() + 60.0
        try:
            while not self._stop.is_set():
                batch = self._collect_batch()
                held, self._held = self._held, []
                if batch or held:
                    self._record([*held, *batch])
                if time.monotonic() >= next_gap_check:
                    next_gap_check = time.monotonic() + GAP_CHECK_INTERVAL_S
                    self._with_database(self._check_gaps)
                if time.monotonic() >= next_expiry:
                    next_expiry = time.monotonic() + EXPIRY_INTERVAL_S
                    self._with_database(self._expire)
        finally:
            self._session.stop()
            log.info(
                "[stopped] written %d, duplicates %d, rejected %d, refused %d",
                self.written,
                self.duplicates,
                self.rejected,
                self.refused,
            )

    def _wait_until_subscribed(self) -> None:
        """Wait, and say once that nothing is recorded yet: what is published before the subscription is lost.

        What an earlier session has left at the broker is not waited for: it is there already.
        """
        warn_at = time.monotonic() + NOT_RECORDING_S
        while not (self._stop.is_set() or self._session.subscribed.wait(0.1)):
            if self._session.event_arrived.is_set():
                return
            if time.monotonic() >= warn_at:
                warn_at = float("inf")
                log.warning("[not_recording] no event is recorded: %s", self._session.problem())

    def _check_gaps(self) -> None:
        now = now_ms()
        requested = self._gaps.check(now)
        self._tails.check(now, {gap.node for gap in requested})

    def _expire(self) -> None:
        """Delete old events, by a time that a wrong clock does not move."""
        before = guarded_ms(self._engine) - self._keep_days * retention.DAY_MS
        retention.expire(self._engine, before)

    def _collect_batch(self) -> list[Message]:
        try:
            batch = [self._session.arrived.get(timeout=0.5)]
        except queue.Empty:
            return []
        end = time.monotonic() + (BATCH_WINDOW_S if self._more_came else 0.0)
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._session.arrived.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        self._more_came = len(batch) > 1
        return batch

    def _record(self, batch: Sequence[Message]) -> None:
        events: list[Received] = []
        names: dict[str, str] = {}
        acknowledged: list[Message] = []
        waiting: Counter[str] = Counter()
        now = now_ms()
        decoded = [self._decode(arrived) for arrived in batch]
        self._prepare([one.node for one in decoded if one and isinstance(one.message, Event)])
        for arrived, one in zip(batch, decoded, strict=True):
            acknowledged.append(arrived)
            if one is None:
                continue
            node, leaf, message = one
            if isinstance(message, Event):
                if self._admits(node):
                    events.append(Received(node, message, now))
                elif waiting.total() < MAX_HELD and waiting[node] < MAX_HELD_PER_DEVICE:
                    waiting[node] += 1
                    self._held.append(acknowledged.pop())
                else:
                    self._refuse(node, message)
            elif isinstance(message, Info):
                names[node] = self._note_info(node, message, now)
            elif leaf == protocol.AVAILABILITY.leaf:
                self._presence.note_availability(node, message == "online")
        for attempt in range(1_000_000):
            if self._with_database(lambda: self._write(events, names)):
                break
            if self._stop.wait(RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S) - 1)]):
                return  # Not acknowledged: the broker delivers it again.
        for arrived in acknowledged:
            arrived.acknowledge()

    def _decode(self, arrived: Message) -> Incoming | None:
        try:
            return decode(self._base_topic, arrived.topic, arrived.payload)
        except ContractError as error:
            self.rejected += 1
            log.debug("rejected: %s", error)
            return None

    def _note_info(self, node: str, info: Info, now: int) -> str:
        """Note which event was the last one of a device; return its name."""
        self._presence.note_info(node)
        if info.last_event is not None:
            self._tails.note(node, info.last_event, now)
        return info.name

    def _write(self, events: Sequence[Received], names: dict[str, str]) -> None:
        if events:
            new = self._writer.write(events)
            self.written += new
            self.duplicates += len(events) - new
        for node, name in names.items():
            self._writer.set_room_name(node, name)
        if self._refused.changed:
            self._writer.record_refused(self._refused.items())
            self._refused.changed = False

    def _prepare(self, nodes: Sequence[str]) -> None:
        for node in nodes:
            self._presence.note_event(node)
        # The budgets of unknown devices are in the database; where it fails, writing will wait for it.
        with contextlib.suppress(SQLAlchemyError):
            self._admission.prepare(nodes)

    def _admits(self, node: str) -> bool:
        try:
            return self._admission.admits(node)
        except SQLAlchemyError:
            return True

    def _refuse(self, node: str, event: Event) -> None:
        """Count an event beyond the budget of its device; all of one flood become one gap."""
        if time.monotonic() - self._refused_at > NEW_FLOOD_S:
            self._refused.clear()
            log.warning("[flood] %s publishes more events than people can speak: events are refused", node)
        self._refused_at = time.monotonic()
        self._refused.add(node, event.boot, event.seq)
        self.refused += 1

    def _with_database(self, action: object) -> bool:
        try:
            action()  # type: ignore[operator]
        except SQLAlchemyError as error:
            message = describe_error(error)
            if message != self._database_error:
                log.error(
                    "[database_failed] it cannot be written: %s; retrying, the broker keeps the events",
                    message,
                )
            self._database_error = message
            return False
        if self._database_error:
            log.warning("[database_recovered] it can be written again")
        self._database_error = ""
        return True

    def _is_online(self, node: str) -> bool:
        return self._presence.is_online(node) and self._session.connected.is_set()

    def _request_replay(self, gap: Gap) -> bool:
        command = Command(
            transaction=secrets.token_hex(8),
            sent_at=timestamps.now(),
            boot=gap.boot,
            from_seq=gap.from_seq,
            to_seq=gap.to_seq,
        )
        topic = protocol.topic(self._base_topic, gap.node, "cmd/replay")
        if not self._session.publish(topic, protocol.encode(command)):
            return False
        self._admission.allow_replay(gap.node, gap.to_seq - gap.from_seq + 1)
        return True
