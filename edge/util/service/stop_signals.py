"""Signals that end a program, however often and whenever they come."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue


def call_on_signals(stop: Callable[[], object], *, hang_up: bool = False) -> None:
    """Have SIGTERM and SIGINT call `stop` once, in a thread of its own. Call it in the main thread.

    With `hang_up` SIGHUP, too, which a terminal sends that is closed. `stop` is usually the `set` of an event. A
    handler that called it itself would wait for ever where it interrupts a method of that event in the main thread, or
    where a second signal interrupts the handler of the first: the lock is not reentrant. `SimpleQueue.put` is.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def wait_for_one() -> None:
        received.get()
        stop()

    threading.Thread(target=wait_for_one, name="signals", daemon=True).start()
    numbers = (signal.SIGTERM, signal.SIGINT, *((signal.SIGHUP,) if hang_up else ()))
    for number in numbers:
        signal.signal(number, lambda number, _frame: received.put(number))
    # Python puts the defaults back at its very end: one more signal would then look like a crash.
    atexit.register(_ignore, numbers)


def _ignore(numbers: Iterable[int]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
