"""When an event goes to the broker, when the ear may forget it, and when we may.

Delivery is at least once: an event leaves only when the broker has taken it for a subscriber. While the broker
does not answer (no connection, or no PUBACK within half a second) all that waits goes to disk, and the ear is
told so. An event without subscribers (MQTT 5, reason 0x10) stays: the oldest one is tried again
with each new event and every half minute, and after an hour it is dropped and counted.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable
from typing import Final

from edge.config.settings import Config
from edge.link.delivery.entry import Entry
from edge.link.delivery.journal import Journal
from edge.link.delivery.restamp import repeated, shifted, unmarked
from edge.link.delivery.spool import Spool
from edge.link.state.directories import made_state_dir, runtime_dir
from edge.mqtt.reason_codes import NO_MATCHING_SUBSCRIBERS
from edge.protocol import Event, encode
from edge.util.rate_limit import TokenBucket

log = logging.getLogger(__name__)

WINDOW: Final = 20
"""Events on the way at once; paho and brokers allow 20 unless told otherwise."""
DRAIN_PER_SECOND: Final = 50.0
"""A thousand devices that drain at once should not fell the broker that has just come back."""
PATIENCE_S: Final = 0.5
"""A broker that has not answered for so long counts as one that does not."""
UNHEARD_RETRY_S: Final = 30.0
UNHEARD_KEEP_S: Final = 3600.0
SEND_AGAIN_S: Final = 300.0
"""What is sent again when our session at the broker has expired."""
REPLAY_LIMIT: Final = 500


class Outbox:
    """Keeps every event until the broker has acknowledged it, on disk while the broker is away.

    All methods belong to one thread. `send` passes an event to the connection and returns a number for the
    acknowledgement, None without a connection; `acknowledge` tells the ear that it may drop an event; `clock` returns
    monotonic seconds.
    """

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        send: Callable[[Entry], int | None],
        acknowledge: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._journal = journal
        self._send = send
        self._acknowledge = acknowledge
        self._clock = clock
        self._up = False
        self._down_since = clock()
        self._flights: dict[int, tuple[Entry, float, bool]] = {}
        self._unheard_since: float | None = None
        self._retry_at = 0.0
        self._try_now = False
        self._bucket = TokenBucket(DRAIN_PER_SECOND, DRAIN_PER_SECOND, clock)
        self._complained_of = 0
        self._replay: list[Entry] = []

    @property
    def waiting(self) -> int:
        """The number of events that the broker has not acknowledged yet."""
        return len(self._spool)

    @property
    def drops(self) -> int:
        """The number of events that were dropped so far."""
        return self._spool.drops

    @property
    def busy(self) -> bool:
        """Whether `tick` should be called soon, and not only every second."""
        return bool(self._flights or len(self._spool) or self._journal.again or self._replay)

    def accept(self, event: Event) -> bool:
        """Accept an event from the ear; returns False for one that was accepted before."""
        if self._journal.knows(event.id) or self._spool.is_safe(event.id):
            self._acknowledge(event.id)
            return False
        if self._spool.knows(event.id):
            return False
        self._spool.add(event.id, event.boot, event.seq, encode(event))
        if self._must_spill():
            self._spill()
        # Outlives the answer to what is on the way, which would put the next try off.
        self._try_now = True
        self.pump()
        return True

    @property
    def next_n(self) -> int:
        """The number that the next event gets."""
        return self._spool.next_n

    def clock_was_set(self, seconds: float, from_n: int) -> None:
        """Correct the times of the events since number `from_n` that still wait, by so many seconds."""
        self._spool.rewrite(from_n, lambda old: shifted(old, seconds))

    def clock_is_right(self, from_n: int) -> None:
        """Remove the mark that their time is not known from waiting events since number `from_n`."""
        self._spool.rewrite(from_n, unmarked)

    def connected(self, session_present: bool) -> None:
        """Start to send; where the broker's session has expired, recently acknowledged events are sent again, too."""
        self._up = True
        self._unheard_since = None
        # What an earlier connection has sent is not answered on this one.
        self._flights.clear()
        if not session_present:
            count = self._journal.send_again(SEND_AGAIN_S)
            if count:
                log.info(
                    "[session_expired] our session at the broker has expired: sending %d events again",
                    count,
                )
        if len(self._spool):
            log.info("[events_wait] %d events wait for the broker", len(self._spool))
        self.pump()

    def disconnected(self) -> None:
        """Note that the connection is lost: what was not acknowledged will be sent again."""
        if self._up:
            self._down_since = self._clock()
        self._up = False
        self._flights.clear()
        self._replay.clear()
        self._spill()

    def on_acknowledged(self, number: int, code: int) -> bool:
        """Handle the broker's acknowledgement of `send`; returns False when the number is not one of ours."""
        flight = self._flights.pop(number, None)
        if flight is None:
            return False
        entry, _, once_more = flight
        if code == NO_MATCHING_SUBSCRIBERS or code >= 0x80:
            if not once_more:
                self._on_refused(code)
            else:
                # It was taken once; that there is no subscriber the second time changes nothing.
                self._journal.sent_again(entry.n)
        elif once_more:
            self._journal.sent_again(entry.n)
        else:
            self._on_delivered(entry)
        self.pump()
        return True

    def replay(self, boot: str, from_seq: int, to_seq: int) -> list[Entry]:
        """Send the events of one start of the ear once more, in order, as far as they are stored; returns them."""
        found = {e.n: e for e in self._journal.find(boot, from_seq, to_seq, REPLAY_LIMIT)}
        found.update({e.n: e for e in self._spool.find(boot, from_seq, to_seq, REPLAY_LIMIT)})
        entries = [found[n] for n in sorted(found)][:REPLAY_LIMIT]
        self._replay = entries.copy()
        self.pump()
        return entries

    def pump(self) -> None:
        """Send as many waiting events as may be unacknowledged at once."""
        while self._up and len(self._flights) < WINDOW:
            if self._unheard_since is not None and (self._flights or not self._may_try()):
                return
            found = self._next()
            if found is None or self._bucket.take() > 0:
                return
            entry, once_more = found
            number = self._send(repeated(entry) if once_more else entry)
            if number is None:
                return
            self._try_now = False
            self._flights[number] = (entry, self._clock(), once_more)
            if once_more and self._replay and self._replay[0] is entry:
                self._replay.pop(0)
            if self._unheard_since is not None:
                self._retry_at = self._clock() + UNHEARD_RETRY_S

    def tick(self) -> None:
        """Do periodic work; call it every second, and every quarter of a second while `busy`."""
        if self._must_spill():
            self._spill()
        self._spool.flush()
        self._spool.drop_old()
        if self._unheard_since is not None and self._clock() - self._unheard_since > UNHEARD_KEEP_S:
            self._spool.drop_old(UNHEARD_KEEP_S)
        self.pump()

    def close(self) -> None:
        """Write all waiting events to disk."""
        self._spill()
        self._spool.close()
        self._journal.close()

    def _next(self) -> tuple[Entry, bool] | None:
        """What goes next, and whether it was taken once already: by order of arrival over all three sources."""
        flying = {entry.n for entry, _, _ in self._flights.values()}
        first = heapq.merge(
            [(e.n, False, e) for e in self._spool.oldest(1, flying)],
            [(e.n, True, e) for e in self._journal.oldest_again(1, flying)],
            [(e.n, True, e) for e in self._replay[:1]],
            key=lambda item: item[0],
        )
        for _, once_more, entry in first:
            return entry, once_more
        return None

    def _may_try(self) -> bool:
        return self._try_now or self._clock() >= self._retry_at

    def _must_spill(self) -> bool:
        now = self._clock()
        if self._spool.on_disk or self._unheard_since is not None:
            return True
        if not self._up:
            return now - self._down_since > PATIENCE_S
        return any(now - since > PATIENCE_S for _, since, _ in self._flights.values())

    def _spill(self) -> None:
        for entry in self._spool.spill():
            self._acknowledge(entry.id)

    def _on_delivered(self, entry: Entry) -> None:
        if self._unheard_since is not None:
            log.info("[subscribed_again] the events have subscribers again")
            self._unheard_since = None
        self._complained_of = 0
        # First into the journal: killed in between, the event is sent twice and not lost to a replay.
        self._journal.add(entry)
        if self._spool.remove(entry):
            self._acknowledge(entry.id)

    def _on_refused(self, code: int) -> None:
        now = self._clock()
        if self._unheard_since is None:
            self._unheard_since = now
        self._retry_at = now + UNHEARD_RETRY_S
        if code != self._complained_of:
            self._complained_of = code
            log.warning(
                "[%s] the events wait: %s",
                "no_subscribers" if code == NO_MATCHING_SUBSCRIBERS else "events_refused",
                "there are no subscribers"
                if code == NO_MATCHING_SUBSCRIBERS
                else f"the broker refuses them (reason {code:#04x}); is this device allowed to publish them?",
            )
        self._spill()


def open_outbox(
    config: Config,
    send: Callable[[Entry], int | None],
    acknowledge: Callable[[str], object],
    clock: Callable[[], float],
) -> Outbox:
    """Open journal and spool of a device where the configuration says, and return its outbox.

    The last three arguments are those of `Outbox`.
    """
    node = config.node.id
    journal = Journal(runtime_dir(config) / f"{node}.journal", time.time)
    spool = Spool(
        made_state_dir(config) / f"{node}.spool",
        config.runtime.spool_events,
        config.runtime.spool_days * 86_400,
        time.time,
        first_n=journal.last_n + 1,
    )
    return Outbox(spool, journal, send, acknowledge, clock)
