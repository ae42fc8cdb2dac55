"""The ear's client of the link's socket: the only output of this process, limited to small messages of numbers.

Its own thread connects, reconnects and sends within the rates of the protocol. Utterances are kept until the link has
acknowledged them; of everything else (microphone state, level, health) only the latest value is sent.
Nothing here blocks the main thread.
"""

from __future__ import annotations

import logging
import math
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from edge import protocol
from edge.ear.uplink.counter import UtteranceCounter
from edge.ear.uplink.link_log import REFUSED, LinkLog
from edge.ear.uplink.unacknowledged import UnacknowledgedUtterances
from edge.ear.uplink.wakeup import Wakeup
from edge.protocol import (
    Ack,
    ContractError,
    EarCommand,
    EarHealth,
    EarInfo,
    HealthReport,
    InfoReport,
    LevelOn,
    LevelSignal,
    MicSignal,
    MicState,
    MutedBy,
    PredictionCountsReport,
    SpeechSignal,
    UtteranceReport,
    UtteranceValues,
)
from edge.util.errors import reason
from edge.util.rate_limit import TokenBucket

log = logging.getLogger(__name__)

BACK_OFF_S: Final = (0.1, 5.0)
"""First and longest pause between attempts to connect; short, as the link is on the same device."""
LASTING_S: Final = 1.0
"""A connection that ends within so many seconds counts as refused."""
LEVEL_PERIOD_S: Final = 0.5
COUNTS_PERIOD_S: Final = 5.0
"""Prediction counts are sent no more often: they use the rate limit of the utterances."""


class Uplink:
    """Sends utterances, states and health of any thread to the link; passes the link's commands to `on_command`."""

    def __init__(
        self,
        path: str,
        info: EarInfo,
        level: Callable[[], LevelSignal],
        on_command: Callable[[EarCommand], None],
        *,
        counter: UtteranceCounter | None = None,
        speed: float = 1.0,
    ) -> None:
        """Args:

        path: of the socket.
        info: what this ear runs.
        level: returns the present level; called by this object's thread.
        on_command: is called by this object's thread.
        counter: numbers the utterances; by default they are counted in this process only.
        speed: of a playback; a faster one has more utterances in a second.
        """
        self._path = path
        self._info = info
        self._level = level
        self._on_command = on_command
        self._lock = threading.Condition()
        self._unacknowledged = UnacknowledgedUtterances()
        self._counter = counter or UtteranceCounter()
        self._mic = MicSignal("starting")
        self._health: EarHealth | None = None
        self._prediction_counts: dict[str, PredictionCountsReport] = {}
        """The latest of each of the last two models."""
        self._counts_due = 0.0
        self._speaking = False
        self._mic_sent = self._info_sent = self._speech_sent = False
        self._level_until = self._level_due = 0.0
        self._stopped = False
        self._connected = False
        self._link_log = LinkLog(path)
        # Not created with the connection: a new one must not allow more than the protocol does.
        self._reports = TokenBucket(protocol.REPORTS_PER_SECOND, protocol.REPORTS_BURST)
        self._signals = TokenBucket(protocol.SIGNALS_PER_SECOND, protocol.SIGNALS_BURST)
        self._utterances = TokenBucket(protocol.UTTERANCES_PER_SECOND * speed, protocol.UTTERANCES_BURST)
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Start the thread that connects to the link and sends messages."""
        self._thread.start()

    def publish(self, values: UtteranceValues) -> None:
        """Queue an utterance for the link and return at once; beyond 1,000 waiting ones the oldest is dropped."""
        with self._lock:
            self._unacknowledged.add(UtteranceReport(self._counter.next(), values))
        self._wakeup.notify()

    def set_mic(self, state: MicState) -> None:
        """Set the microphone state, sent now and on every new connection."""
        with self._lock:
            self._mic = MicSignal(state, self._mic.muted_by)
            self._mic_sent = False
        self._wakeup.notify()

    def set_muted_by(self, reasons: tuple[MutedBy, ...]) -> None:
        """Set why the microphone is closed, sent with its state; empty: it may be open."""
        with self._lock:
            self._mic = MicSignal(self._mic.state, reasons)
            self._mic_sent = False
        self._wakeup.notify()

    def set_speaking(self, speaking: bool) -> None:
        """Set whether there is speech, sent when it changes and on every new connection."""
        if speaking == self._speaking:
            return
        with self._lock:
            self._speaking = speaking
            self._speech_sent = False
        self._wakeup.notify()

    def set_info(self, info: EarInfo) -> None:
        """Set the description of this ear, sent now and first on every new connection."""
        with self._lock:
            if info == self._info:
                return
            self._info = info
            self._info_sent = False
        self._wakeup.notify()

    def set_health(self, health: EarHealth) -> None:
        """Set the health values, sent once."""
        with self._lock:
            self._health = health
        self._wakeup.notify()

    def set_prediction_counts(self, counts: PredictionCountsReport) -> None:
        """Set the prediction counts of a model, sent once."""
        with self._lock:
            self._prediction_counts[counts.model_sha256] = counts
            while len(self._prediction_counts) > 2:
                del self._prediction_counts[next(iter(self._prediction_counts))]
        self._wakeup.notify()

    @property
    def dropped(self) -> int:
        """Utterances dropped because no link acknowledged them."""
        return self._unacknowledged.dropped

    @property
    def waiting(self) -> int:
        """Utterances that are not yet acknowledged."""
        return len(self._unacknowledged)

    def drain(self, timeout_s: float) -> bool:
        """Wait until every utterance is acknowledged; False when there was no progress for `timeout_s` seconds."""
        with self._lock:
            left, since = len(self._unacknowledged), time.monotonic()
            while self._unacknowledged:
                self._lock.wait(0.2)
                if len(self._unacknowledged) < left:
                    left, since = len(self._unacknowledged), time.monotonic()
                elif time.monotonic() - since > timeout_s:
                    return False
        return True

    def stop(self) -> None:
        """End the thread and close the connection."""
        with self._lock:
            self._stopped = True
        self._wakeup.notify()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def _run(self) -> None:
        first, longest = BACK_OFF_S
        pause = first
        while not self._stopped:
            begun = time.monotonic()
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as channel:
                    channel.setblocking(False)
                    channel.connect(self._path)
                    self._link_log.on_connected(answered=False)
                    self._serve(channel)
            except OSError as error:
                broken = isinstance(error, BrokenPipeError | ConnectionResetError)
                why = REFUSED if broken and time.monotonic() - begun < LASTING_S else reason(error)
                self._link_log.on_missing(why, time.monotonic())
            # A link that closes at once (another ear is connected) must not be tried ten times a second.
            if time.monotonic() - begun > LASTING_S:
                pause = first
            self._wakeup.sleep(pause * random.uniform(0.7, 1.3), lambda: self._stopped)
            pause = min(longest, pause * 2)

    def _serve(self, channel: socket.socket) -> None:
        with self._lock:
            self._unacknowledged.on_reconnect()
            self._mic_sent = self._info_sent = self._speech_sent = False
        poll = select.poll()
        poll.register(self._wakeup.descriptor, select.POLLIN)
        begun = time.monotonic()
        while not self._stopped:
            wait_s, blocked = self._send_all(channel)
            poll.register(channel, select.POLLIN | (select.POLLOUT if blocked else 0))
            ready = dict(poll.poll(None if wait_s is None else max(1, math.ceil(wait_s * 1000))))
            if self._wakeup.descriptor in ready:
                self._wakeup.clear()
            if ready.get(channel.fileno(), 0) & ~select.POLLOUT:
                if not self._receive_all(channel):
                    early = time.monotonic() - begun < LASTING_S
                    raise ConnectionError(REFUSED if early else "the link has closed the connection")
                self._link_log.on_connected(answered=True)

    def _send_all(self, channel: socket.socket) -> tuple[float | None, bool]:
        """Send what the limits allow; returns the seconds to wait (None: no need) and whether the socket is full."""
        soonest: float | None = None
        for buckets, data, done in self._next_messages():
            wait = max(bucket.wait_s() for bucket in buckets)
            if wait > 0:
                soonest = wait if soonest is None else min(soonest, wait)
                continue
            try:
                channel.send(data)
            except BlockingIOError:
                return soonest, True
            for bucket in buckets:
                bucket.take()
            with self._lock:
                done()
        now = time.monotonic()
        if now < self._level_due < self._level_until:
            due = self._level_due - now
            soonest = due if soonest is None else min(soonest, due)
        if self._prediction_counts:
            due = max(0.001, self._counts_due - now)
            soonest = due if soonest is None else min(soonest, due)
        return soonest, False

    def _next_messages(self) -> Iterator[tuple[tuple[TokenBucket, ...], bytes, Callable[[], None]]]:
        """Yield what is to be sent, by priority: its rate limits, the message, and what to call when it was sent."""
        if not self._info_sent:
            info = self._info
            first = InfoReport(info, self._counter.session, self._counter.first)
            yield (self._reports,), protocol.encode(first), lambda: self._on_info_sent(info)
            if not self._info_sent:
                return  # must be the first message of every connection
        if not self._mic_sent:
            mic = self._mic
            yield (self._signals,), protocol.encode(mic), lambda: self._on_mic_sent(mic)
        if not self._speech_sent:
            speaking = self._speaking
            data = protocol.encode(SpeechSignal(speaking))
            yield (self._signals,), data, lambda: self._on_speech_sent(speaking)
        now = time.monotonic()
        if self._level_due <= now < self._level_until:
            yield (self._signals,), protocol.encode(self._level()), self._on_level_sent
        if (health := self._health) is not None:
            on_sent = partial(self._on_health_sent, health)
            yield (self._reports,), protocol.encode(HealthReport(health)), on_sent
        if now >= self._counts_due:
            for counts in list(self._prediction_counts.values()):
                yield (
                    (self._reports,),
                    protocol.encode(counts),
                    partial(self._on_counts_sent, counts),
                )
        while True:
            with self._lock:
                unsent = self._unacknowledged.next_unsent()
            if unsent is None:
                return
            key, data = unsent
            yield (self._reports, self._utterances), data, partial(self._unacknowledged.mark_sent, key)
            with self._lock:
                if self._unacknowledged.next_unsent() == unsent:
                    return  # the rate limit holds this one back, and all after it

    def _on_counts_sent(self, counts: PredictionCountsReport) -> None:
        if self._prediction_counts.get(counts.model_sha256) is counts:
            del self._prediction_counts[counts.model_sha256]
        if not self._prediction_counts:
            self._counts_due = time.monotonic() + COUNTS_PERIOD_S

    def _on_info_sent(self, info: EarInfo) -> None:
        self._info_sent = info == self._info

    def _on_mic_sent(self, mic: MicSignal) -> None:
        self._mic_sent = mic == self._mic

    def _on_speech_sent(self, speaking: bool) -> None:
        self._speech_sent = speaking == self._speaking

    def _on_level_sent(self) -> None:
        self._level_due = time.monotonic() + LEVEL_PERIOD_S

    def _on_health_sent(self, health: EarHealth) -> None:
        self._health = None if self._health is health else self._health

    def _receive_all(self, channel: socket.socket) -> bool:
        """Read all pending commands; False when the link has closed the connection."""
        while True:
            try:
                data = channel.recv(protocol.MAX_EAR_COMMAND_BYTES + 1)
            except BlockingIOError:
                return True
            if not data:
                return False
            try:
                self._handle_command(protocol.decode_ear_command(data))
            except ContractError as error:
                log.warning("[command_invalid] invalid command of the link ignored: %s", error)

    def _handle_command(self, command: EarCommand) -> None:
        match command:
            case Ack(n=n):
                with self._lock:
                    self._unacknowledged.acknowledge(n)
                    self._counter.acknowledge(self._unacknowledged.oldest)
                    self._lock.notify_all()
            case LevelOn(seconds=seconds):
                self._level_until = time.monotonic() + seconds
                self._level_due = 0.0
            case _:
                self._on_command(command)
