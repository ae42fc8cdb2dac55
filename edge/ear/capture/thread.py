"""The capture thread: reads blocks from the source into a queue, so that none is lost while the model runs.

The queue holds blocks and, in order between them, notices (opened, lost, muted, ended). It has room for ten seconds;
when it is full a playback waits, and the block of a microphone is dropped and counted. Every way out of the thread's
loop, an exception too, puts a notice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from edge.ear.capture.source import AudioSource, Block, SourceEndedError, SourceLostError
from edge.protocol import MicFormat

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_BLOCKS: Final = 312
"""Capacity of the queue: ten seconds."""
MOST_READ: Final = 8
"""Blocks that are read at once: what is being read when speech begins delays it by so much."""
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts to open the source; the last one repeats, so a microphone is back soon after it is plugged
in."""
HEARTBEAT_S: Final = 1.0
"""How often a waiting thread puts a heartbeat notice."""
READ_LIMIT_S: Final = 5.0
"""A read that takes longer is stuck: a USB microphone that was unplugged, a sound server that was stopped."""
OPEN_LIMIT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Notice:
    """A change of the source, or a heartbeat of the waiting thread."""

    kind: Literal["opened", "lost", "muted", "ended", "failed", "heartbeat"]
    text: str = ""


class Capture:
    """Owns an audio source and the thread that reads it."""

    def __init__(self, source: AudioSource, stopped: threading.Event) -> None:
        self._source = source
        self._stopped = stopped
        self._queue: deque[Block | Notice] = deque()
        self._changed = threading.Condition()
        self._wanted = 1
        self._urgent = False
        self._wake = threading.Event()
        self._muted = False
        self._busy: tuple[str, float, float] | None = None
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Start the thread that reads sound from the source."""
        self._thread.start()

    @property
    def overruns(self) -> int:
        """How often sound was lost: before it could be read, or because the queue was full."""
        return self._source.overruns + self._dropped

    @property
    def format(self) -> MicFormat | None:
        """Rate and channels of the device when it was last opened; None before that and for a playback."""
        return self._source.format

    def set_muted(self, muted: bool) -> None:
        """Close the source (True) or open it again (False); the thread follows within a second."""
        self._muted = muted
        self._wake.set()

    def get(self, timeout_s: float, at_least: int = 1) -> list[Block | Notice]:
        """Take everything from the queue, in order, when it has `at_least` items or a notice, or after the timeout.

        Waking up for several blocks at once costs less than half the CPU time: the network is still in the cache.
        """
        with self._changed:
            self._wanted = at_least
            if len(self._queue) < at_least and not self._urgent:
                self._changed.wait(timeout_s)
            items = list(self._queue)
            self._queue.clear()
            self._urgent = False
            if self._source.waits:
                self._changed.notify_all()
            return items

    def stuck_call(self) -> str | None:
        """The call (`open`, `read`, `close`) that has exceeded its time limit, or None. Called by other threads."""
        busy = self._busy
        if busy is not None and time.monotonic() - busy[1] > busy[2]:
            return busy[0]
        return None

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread after `stopped` was set; returns whether it has ended."""
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop()
        except SourceEndedError:
            self._put_notice(Notice("ended"))
        except Exception as error:
            log.exception("capture failed")
            self._put_notice(Notice("failed", f"{type(error).__name__}: {error}"))
        finally:
            self._limited("close", READ_LIMIT_S, self._source.close)
            self._put_notice(Notice("heartbeat"))  # wakes a reader that waits for sound

    def _loop(self) -> None:
        attempt = 0
        while not self._stopped.is_set():
            if self._muted:
                self._put_notice(Notice("muted"))
                self._wait(None, muted=True)
                attempt = 0
                continue
            try:
                self._limited("open", OPEN_LIMIT_S, self._source.open)
                self._put_notice(Notice("opened", self._source.name))
                while not self._stopped.is_set() and not self._muted:
                    self._put_blocks(self._limited("read", READ_LIMIT_S, self._read))
                    attempt = 0
            except SourceLostError as error:
                self._put_notice(Notice("lost", str(error)))
                self._limited("close", READ_LIMIT_S, self._source.close)
                self._wait(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)], muted=False)
                attempt += 1
            else:
                self._limited("close", READ_LIMIT_S, self._source.close)

    def _wait(self, seconds: float | None, *, muted: bool) -> None:
        """Wait so long (None: until the mute changes), with a heartbeat notice every second."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._stopped.is_set() and self._muted == muted:
            left = HEARTBEAT_S if end is None else min(HEARTBEAT_S, end - time.monotonic())
            if left <= 0:
                return
            self._wake.wait(left)
            self._wake.clear()
            self._put_notice(Notice("heartbeat"))

    def _limited(self, what: str, limit_s: float, call: Callable[[], T]) -> T:
        self._busy = (what, time.monotonic(), limit_s)
        try:
            return call()
        finally:
            self._busy = None

    def _put_notice(self, notice: Notice) -> None:
        with self._changed:
            self._queue.append(notice)
            self._urgent = True
            self._changed.notify_all()

    def _read(self) -> list[Block]:
        # As many as the reader waits for: this thread would wake up for each block otherwise.
        blocks = self._source.read(min(self._wanted, MOST_READ))
        # Muted in the meantime: some of it was heard after that.
        return [] if self._muted else blocks

    def _put_blocks(self, blocks: list[Block]) -> None:
        with self._changed:
            for block in blocks:
                if self._source.waits:
                    while len(self._queue) >= QUEUE_BLOCKS and not self._stopped.is_set():
                        self._changed.wait(HEARTBEAT_S)
                elif len(self._queue) >= QUEUE_BLOCKS:
                    self._dropped += 1
                    continue
                self._queue.append(block)
            # A conversion may have held one back, which is not worth waiting for another read.
            if len(self._queue) >= self._wanted - (len(blocks) > 1):
                self._changed.notify_all()
