"""The thread that does nothing but take sound from the source, so that none is lost while the model runs.

What happens is told in order through one queue: blocks, and between them notices (opened, lost, muted, ended). The
queue holds ten seconds; when it is full a file waits, and of a microphone the new block is dropped and counted.
The thread never dies alone: every way out of its loop is a notice.
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
from edge.protocol.messages import MicFormat

log = logging.getLogger(__name__)

T = TypeVar("T")

QUEUE_BLOCKS: Final = 312
"""Ten seconds."""
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Between attempts to open; the last one again and again. Short, because a plugged-in microphone should be heard."""
TURN_S: Final = 1.0
"""How often a waiting thread shows that it still turns."""
READ_LIMIT_S: Final = 5.0
"""A read that takes longer hangs: a USB microphone that was pulled out, a sound server that was stopped."""
OPEN_LIMIT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something other than sound has happened."""

    kind: Literal["opened", "lost", "muted", "ended", "failed", "turn"]
    text: str = ""


class Capture:
    """Owns a source and its thread."""

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
        """Starts the thread."""
        self._thread.start()

    @property
    def overruns(self) -> int:
        """Times that sound was lost: before it could be read, or because this queue was full."""
        return self._source.overruns + self._dropped

    @property
    def format(self) -> MicFormat | None:
        """What the device gave when it was opened last."""
        return self._source.format

    @property
    def muted(self) -> bool:
        """Whether the source is to be closed."""
        return self._muted

    def set_muted(self, muted: bool) -> None:
        """Has the thread close the source, or open it again."""
        self._muted = muted
        self._wake.set()

    def get(self, timeout_s: float, at_least: int = 1) -> list[Block | Notice]:
        """What has happened, in order: as soon as there are so many blocks, or a notice, or the time is over.

        Waking up for several blocks at once costs less than half as much: the network is still in the cache.
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

    def hangs(self) -> str | None:
        """What the thread has been stuck in beyond its limit (`open`, `read`), or None. For another thread to ask."""
        busy = self._busy
        if busy is not None and time.monotonic() - busy[1] > busy[2]:
            return busy[0]
        return None

    def join(self, timeout_s: float) -> bool:
        """After `stopped` was set: waits for the thread, tells whether it has ended."""
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop()
        except SourceEndedError:
            self._tell(Notice("ended"))
        except Exception as error:
            log.exception("capture failed")
            self._tell(Notice("failed", f"{type(error).__name__}: {error}"))
        finally:
            self._limited("close", READ_LIMIT_S, self._source.close)
            self._tell(Notice("turn"))  # whoever waits for sound need not wait any longer

    def _loop(self) -> None:
        attempt = 0
        while not self._stopped.is_set():
            if self._muted:
                self._tell(Notice("muted"))
                self._wait(None, muted=True)
                attempt = 0
                continue
            try:
                self._limited("open", OPEN_LIMIT_S, self._source.open)
                self._tell(Notice("opened", self._source.name))
                while not self._stopped.is_set() and not self._muted:
                    self._put(self._limited("read", READ_LIMIT_S, self._source.read))
                    attempt = 0
            except SourceLostError as error:
                self._tell(Notice("lost", str(error)))
                self._limited("close", READ_LIMIT_S, self._source.close)
                self._wait(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)], muted=False)
                attempt += 1
            else:
                self._limited("close", READ_LIMIT_S, self._source.close)

    def _wait(self, seconds: float | None, *, muted: bool) -> None:
        """Until the time is over (None: until the mute changes), showing every second that this loop turns."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._stopped.is_set() and self._muted == muted:
            left = TURN_S if end is None else min(TURN_S, end - time.monotonic())
            if left <= 0:
                return
            self._wake.wait(left)
            self._wake.clear()
            self._tell(Notice("turn"))

    def _limited(self, what: str, limit_s: float, call: Callable[[], T]) -> T:
        self._busy = (what, time.monotonic(), limit_s)
        try:
            return call()
        finally:
            self._busy = None

    def _tell(self, notice: Notice) -> None:
        with self._changed:
            self._queue.append(notice)
            self._urgent = True
            self._changed.notify_all()

    def _put(self, block: Block) -> None:
        with self._changed:
            if self._source.waits:
                while len(self._queue) >= QUEUE_BLOCKS and not self._stopped.is_set():
                    self._changed.wait(TURN_S)
            elif len(self._queue) >= QUEUE_BLOCKS:
                self._dropped += 1
                return
            self._queue.append(block)
            if len(self._queue) >= self._wanted:
                self._changed.notify_all()
