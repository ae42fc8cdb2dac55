"""What comes from the ear: every message is checked, counted and slowed down before anything else sees it.

- Over 1 KiB, unknown, malformed, or with a file descriptor attached: rejected and counted, without effect.
- Faster than the contract allows: we stop reading until there is room again (back-pressure), so that a burst
  waits in the socket and in the ear, and no event is lost.
- One ear at a time. A second connection is refused while the first is open: the kernel closes the
  connection of a process that has died, so an open one has a living ear behind it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
import struct
from collections import deque
from typing import Final, Protocol

from edge.protocol import (
    MAX_REPORT_BYTES,
    REPORTS_BURST,
    REPORTS_PER_SECOND,
    SIGNALS_BURST,
    SIGNALS_PER_SECOND,
    UTTERANCES_BURST,
    UTTERANCES_PER_SECOND,
    ContractError,
    EarCommand,
    EarMessage,
    Signal,
    UtteranceReport,
    decode_ear_message,
    encode,
)
from edge.util.rate_limit import TokenBucket

log = logging.getLogger(__name__)

MAX_UNSENT = 2000
CONNECTIONS_PER_SECOND: Final = 1.0
CONNECTIONS_BURST: Final = 20
"""Each connection is logged, and costs no message: faster ones wait in the queue of the listener."""
QUIET_REJECTIONS_S = 60.0
_QUOTED: Final = re.compile(r"'[^']*'?|`[^`]*`?")
_PEER = struct.Struct("3i")


class EarObserver(Protocol):
    """The interface of what is notified about the ear."""

    def on_ear_connected(self) -> None:
        """Handle the connection of an ear, before its first message."""

    def on_ear_disconnected(self) -> None:
        """The ear has closed the connection or ended."""

    def on_ear_message(self, message: EarMessage) -> None:
        """The ear has sent a message, which is valid and within the rate limits."""


class Intake:
    """Receives, validates and rate-limits the messages of one ear on a listening socket. Used on the event loop.

    `speed`: seconds of sound in a second; a faster playback has more utterances in a second.
    """

    def __init__(
        self,
        listener: socket.socket,
        observer: EarObserver,
        loop: asyncio.AbstractEventLoop,
        *,
        speed: float = 1.0,
    ) -> None:
        self._listener = listener
        self._observer = observer
        self._loop = loop
        self._peer: socket.socket | None = None
        self._refused = 0
        """Process of the last ear that was refused: it is said once, however often that one comes."""
        self._reports = TokenBucket(REPORTS_PER_SECOND, REPORTS_BURST, loop.time)
        self._signals = TokenBucket(SIGNALS_PER_SECOND, SIGNALS_BURST, loop.time)
        self._utterances = TokenBucket(UTTERANCES_PER_SECOND * speed, UTTERANCES_BURST, loop.time)
        self._connections = TokenBucket(CONNECTIONS_PER_SECOND, CONNECTIONS_BURST, loop.time)
        self._held: EarMessage | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._listen_again: asyncio.TimerHandle | None = None
        self._unsent: deque[bytes] = deque()
        self._quiet_until = 0.0
        self._closed = False
        self.rejected = 0
        loop.add_reader(listener, self._accept)

    @property
    def connected(self) -> bool:
        """Whether an ear is connected."""
        return self._peer is not None

    def send(self, message: EarCommand) -> bool:
        """Send a command to the ear, or queue it until the ear reads; returns False without an ear."""
        if self._peer is None:
            return False
        self._unsent.append(encode(message))
        if len(self._unsent) > MAX_UNSENT:
            # It neither reads nor dies. A new connection makes it send again what is not acknowledged.
            self._drop("does not read what we send")
            return False
        if len(self._unsent) == 1:
            self._flush()
        return self._peer is not None

    def reject(self) -> None:
        """Count a message that fits the schema and cannot be used all the same."""
        self.rejected += 1

    def close(self) -> None:
        """Disconnect the ear and stop accepting; the listener itself stays open."""
        self._closed = True
        if self._peer is not None:
            self._drop("is let go: the link stops")
        if self._listen_again is not None:
            self._listen_again.cancel()
        self._loop.remove_reader(self._listener)

    def _listen(self) -> None:
        """Accept connections, as soon as the rate allows the next one."""
        if self._listen_again is not None:
            self._listen_again.cancel()
            self._listen_again = None
        wait = self._connections.wait_s()
        if wait > 0:
            self._loop.remove_reader(self._listener)
            self._listen_again = self._loop.call_later(wait, self._listen)
        else:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        if self._peer is not None and _hung_up(self._peer):
            # It has gone, and its last messages wait in the socket: they come first, no faster than any others.
            # The new ear waits in the queue of the listener; `_drop` looks there again.
            self._loop.remove_reader(self._listener)
            return
        try:
            channel, _ = self._listener.accept()
        except OSError:
            return
        self._connections.take()
        self._listen()
        channel.setblocking(False)
        pid, uid, _gid = _PEER.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if self._peer is not None:
            if pid != self._refused:
                self._refused = pid
                log.warning(
                    "[second_ear] a second ear (pid %d, uid %d) is refused: one is connected already",
                    pid,
                    uid,
                )
            channel.close()
            return
        self._peer = channel
        log.info("[ear_connected] the ear is connected (pid %d, uid %d)", pid, uid)
        self._loop.add_reader(channel, self._read)
        self._observer.on_ear_connected()

    def _read(self) -> None:
        """Takes one message; the loop calls again while there are more."""
        peer = self._peer
        if peer is None:
            return
        try:
            # No room for ancillary data: the kernel closes passed descriptors and sets MSG_CTRUNC.
            data, _, flags, _ = peer.recvmsg(MAX_REPORT_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._drop("has gone")
            return
        if not data and _hung_up(peer):
            self._drop("has gone")
            return
        message = self._check(data, flags)
        self._pass(message)

    def _check(self, data: bytes, flags: int) -> EarMessage | None:
        try:
            if flags & socket.MSG_TRUNC:
                raise ContractError(f"more than {MAX_REPORT_BYTES} bytes")
            if flags & socket.MSG_CTRUNC:
                raise ContractError("a file descriptor is attached")
            return decode_ear_message(data)
        except ContractError as error:
            self.rejected += 1
            now = self._loop.time()
            if now >= self._quiet_until:
                self._quiet_until = now + QUIET_REJECTIONS_S
                log.warning(
                    "[ear_message_rejected] a message is rejected (%d so far): %s",
                    self.rejected,
                    # What the sender wrote is no business of the log.
                    _QUOTED.sub("...", str(error))[:200],
                )
            return None

    def _pass(self, message: EarMessage | None) -> None:
        """Hands a message on when its bucket has a token, else holds it and stops reading until then."""
        # What is rejected costs a token too: rubbish is no cheaper than a report.
        buckets = [self._signals if isinstance(message, Signal) else self._reports]
        if isinstance(message, UtteranceReport):
            buckets.append(self._utterances)
        wait = max(bucket.wait_s() for bucket in buckets)
        if wait > 0 and self._peer is not None:
            self._held = message
            self._loop.remove_reader(self._peer)
            self._resume = self._loop.call_later(wait, self._go_on)
            return
        for bucket in buckets:
            bucket.take()
        if message is not None:
            self._observer.on_ear_message(message)

    def _go_on(self) -> None:
        message, self._held, self._resume = self._held, None, None
        if self._peer is None:
            return
        self._loop.add_reader(self._peer, self._read)
        self._pass(message)

    def _flush(self) -> None:
        while self._unsent and self._peer is not None:
            try:
                self._peer.send(self._unsent[0])
            except BlockingIOError:
                self._loop.add_writer(self._peer, self._flush)
                return
            except OSError:
                self._drop("has gone")
                return
            self._unsent.popleft()
        if self._peer is not None:
            self._loop.remove_writer(self._peer)

    def _drop(self, why: str) -> None:
        peer, self._peer = self._peer, None
        if peer is None:
            return
        self._loop.remove_reader(peer)
        self._loop.remove_writer(peer)
        peer.close()
        if self._resume is not None:
            self._resume.cancel()
        self._held, self._resume = None, None
        self._unsent.clear()
        log.info("[ear_disconnected] the ear %s", why)
        if not self._closed:
            self._listen()
        self._observer.on_ear_disconnected()


def _hung_up(peer: socket.socket) -> bool:
    poll = select.poll()
    poll.register(peer, select.POLLRDHUP)
    return bool(poll.poll(0))
