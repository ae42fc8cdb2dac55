"""The ear's end of the socket to the link: the only way out of this process, and numbers are all that fits through.

A thread of its own connects, reconnects and sends within the contract's rates. Events stay in the outbox until the
link has acknowledged them; of everything else (microphone state, level, health) only the latest is worth sending.
Nothing here ever blocks the thread that hears.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from edge.ear.uplink.unacknowledged import Outbox
from edge.protocol import messages
from edge.protocol.messages import (
    Ack,
    ContractError,
    EarCommand,
    EarHealth,
    Event,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    MicState,
    ModelInfo,
    PredictionCountsReport,
)
from edge.util.rate_limit import TokenBucket

log = logging.getLogger(__name__)

BACK_OFF_S: Final = (0.1, 5.0)
"""First and longest pause between attempts to connect: it is the same machine, so a link is soon back."""
LASTING_S: Final = 1.0
"""A connection that ends sooner counts as refused."""
REFUSED: Final = "it closes the connection at once: is another ear connected already?"
LEVEL_PERIOD_S: Final = 0.5
TALLY_PERIOD_S: Final = 5.0
"""Figures of a model are sent no more often: they take the turn of an event."""


class Uplink:
    """Give it events, states and health from any thread; orders of the link come through `on_command`."""

    def __init__(
        self,
        path: str,
        info: ModelInfo,
        level: Callable[[], LevelSignal],
        on_command: Callable[[EarCommand], None],
    ) -> None:
        self._path = path
        self._info = info
        self._level = level
        self._on_command = on_command
        self._lock = threading.Condition()
        self._outbox = Outbox()
        self._mic: MicState = "starting"
        self._health: EarHealth | None = None
        self._tallies: dict[str, PredictionCountsReport] = {}
        """The latest of each model; of more than two nobody wants to know."""
        self._tally_due = 0.0
        self._mic_sent = self._info_sent = False
        self._level_until = self._level_due = 0.0
        self._stopped = False
        self._connected = False
        self._said = ""
        # Not more than the contract allows even when the connection is new: the bucket outlives it.
        self._reports = TokenBucket(messages.REPORTS_PER_SECOND, messages.REPORTS_BURST)
        self._signals = TokenBucket(messages.SIGNALS_PER_SECOND, messages.SIGNALS_BURST)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def publish(self, event: Event) -> None:
        """Takes an event; it is kept until the link has acknowledged it."""
        with self._lock:
            self._outbox.add(event)
        self._kick()

    def set_mic(self, state: MicState) -> None:
        """The state to tell the link, now and on every new connection."""
        with self._lock:
            self._mic = state
            self._mic_sent = False
        self._kick()

    def set_info(self, info: ModelInfo) -> None:
        """What this ear is (its model, its microphone), to tell now and first on every new connection."""
        with self._lock:
            if info == self._info:
                return
            self._info = info
            self._info_sent = False
        self._kick()

    def set_health(self, health: EarHealth) -> None:
        """Figures to send once."""
        with self._lock:
            self._health = health
        self._kick()

    def tell_tally(self, tally: PredictionCountsReport) -> None:
        """Figures of a model to send once."""
        with self._lock:
            self._tallies[tally.model_sha256] = tally
            while len(self._tallies) > 2:
                del self._tallies[next(iter(self._tallies))]
        self._kick()

    @property
    def dropped(self) -> int:
        """Events that had to be dropped because no link took them."""
        return self._outbox.dropped

    @property
    def waiting(self) -> int:
        """Events that no link has acknowledged yet."""
        return len(self._outbox)

    def drain(self, patience_s: float) -> bool:
        """Waits until every event is acknowledged, as long as there is progress within `patience_s`."""
        with self._lock:
            left, since = len(self._outbox), time.monotonic()
            while self._outbox:
                self._lock.wait(0.2)
                if len(self._outbox) < left:
                    left, since = len(self._outbox), time.monotonic()
                elif time.monotonic() - since > patience_s:
                    return False
        return True

    def stop(self) -> None:
        """Ends the thread and closes the connection."""
        with self._lock:
            self._stopped = True
        self._kick()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def _kick(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        first, longest = BACK_OFF_S
        pause = first
        while not self._stopped:
            begun = time.monotonic()
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as channel:
                    channel.setblocking(False)
                    channel.connect(self._path)
                    if REFUSED not in self._said:
                        self._say(f"connected to the link at {self._path}")
                    self._serve(channel)
            except OSError as error:
                broken = isinstance(error, BrokenPipeError | ConnectionResetError)
                why = REFUSED if broken and time.monotonic() - begun < LASTING_S else error.strerror or error
                self._say(f"no link at {self._path} ({why}); keeping events, trying again")
            # A link that closes at once (another ear is connected already) must not be knocked at ten times a second.
            if time.monotonic() - begun > LASTING_S:
                pause = first
            self._sleep(pause * random.uniform(0.7, 1.3))
            pause = min(longest, pause * 2)

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            log.info("%s", text)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopped and (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._wake], [], [], left)
            if ready:
                self._drain_wake()

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _serve(self, channel: socket.socket) -> None:
        with self._lock:
            self._outbox.start_over()
            self._mic_sent = self._info_sent = False
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        begun = time.monotonic()
        while not self._stopped:
            wait_s, blocked = self._send_all(channel)
            poll.register(channel, select.POLLIN | (select.POLLOUT if blocked else 0))
            ready = dict(poll.poll(None if wait_s is None else max(1, round(wait_s * 1000))))
            if self._wake in ready:
                self._drain_wake()
            if ready.get(channel.fileno(), 0) & ~select.POLLOUT:
                if not self._receive_all(channel):
                    early = time.monotonic() - begun < LASTING_S
                    raise ConnectionError(REFUSED if early else "the link has closed the connection")
                self._say(f"connected to the link at {self._path}")

    def _send_all(self, channel: socket.socket) -> tuple[float | None, bool]:
        """Sends what may go now; returns when to come again (None: nothing to do) and whether the socket is full."""
        soonest: float | None = None
        for bucket, data, done in self._next_messages():
            wait = bucket.wait_s()
            if wait > 0:
                soonest = wait if soonest is None else min(soonest, wait)
                continue
            try:
                channel.send(data)
            except BlockingIOError:
                return soonest, True
            bucket.take()
            with self._lock:
                done()
        now = time.monotonic()
        if now < self._level_due < self._level_until:
            due = self._level_due - now
            soonest = due if soonest is None else min(soonest, due)
        if self._tallies:
            due = max(0.001, self._tally_due - now)
            soonest = due if soonest is None else min(soonest, due)
        return soonest, False

    def _next_messages(self) -> Iterator[tuple[TokenBucket, bytes, Callable[[], None]]]:
        """What there is to send, in order of importance, each with its bucket and what to note when it has gone."""
        if not self._info_sent:
            info = self._info
            yield self._reports, messages.encode(InfoReport(info)), lambda: self._note_info(info)
            if not self._info_sent:
                return  # it is the first message of every connection
        if not self._mic_sent:
            state = self._mic
            yield self._signals, messages.encode(MicSignal(state)), lambda: self._note_mic(state)
        now = time.monotonic()
        if self._level_due <= now < self._level_until:
            yield self._signals, messages.encode(self._level()), self._note_level
        health = self._health
        if health is not None:
            yield self._reports, messages.encode(HealthReport(health)), self._note_health
        if now >= self._tally_due:
            for tally in list(self._tallies.values()):
                yield self._reports, messages.encode(tally), lambda tally=tally: self._note_tally(tally)  # type: ignore[misc]
        while True:
            with self._lock:
                unsent = self._outbox.next_unsent()
            if unsent is None:
                return
            key, data = unsent
            yield self._reports, data, lambda key=key: self._outbox.mark_sent(key)  # type: ignore[misc]
            with self._lock:
                if self._outbox.next_unsent() == unsent:
                    return  # it has to wait for its turn, and so has all behind it

    def _note_tally(self, tally: PredictionCountsReport) -> None:
        if self._tallies.get(tally.model_sha256) is tally:
            del self._tallies[tally.model_sha256]
        if not self._tallies:
            self._tally_due = time.monotonic() + TALLY_PERIOD_S

    def _note_info(self, info: ModelInfo) -> None:
        self._info_sent = info == self._info

    def _note_mic(self, state: MicState) -> None:
        self._mic_sent = state == self._mic

    def _note_level(self) -> None:
        self._level_due = time.monotonic() + LEVEL_PERIOD_S

    def _note_health(self) -> None:
        self._health = None

    def _receive_all(self, channel: socket.socket) -> bool:
        """Reads every order that is there; False when the link has closed."""
        while True:
            try:
                data = channel.recv(messages.MAX_EAR_COMMAND_BYTES + 1)
            except BlockingIOError:
                return True
            if not data:
                return False
            try:
                self._obey(messages.decode_ear_command(data))
            except ContractError as error:
                log.warning("an order of the link breaks the contract and is ignored: %s", error)

    def _obey(self, order: EarCommand) -> None:
        match order:
            case Ack(id=event_id):
                with self._lock:
                    self._outbox.acknowledge(event_id)
                    self._lock.notify_all()
            case LevelOn(seconds=seconds):
                self._level_until = time.monotonic() + seconds
                self._level_due = 0.0
            case _:
                self._on_command(order)
