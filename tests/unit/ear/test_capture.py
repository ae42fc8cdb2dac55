import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge.audio.segmenter import BLOCK
from edge.ear.capture import thread as module
from edge.ear.capture.source import Block, SourceEndedError, SourceLostError
from edge.ear.capture.thread import QUEUE_BLOCKS, Capture, Notice


class Scripted:
    """A source that does what a list says: a number of blocks, an error to raise, or a function to call."""

    def __init__(self, *steps: int | Exception | Callable[[], None], waits: bool = True) -> None:
        self.waits = waits
        self.overruns = 0
        self.name = "script"
        self.format = None
        self.opened = self.closed = 0
        self.count = 0
        self.asked: list[int] = []
        self._held: Exception | None = None
        self._script = self._play(steps)

    def _play(self, steps: tuple[int | Exception | Callable[[], None], ...]) -> Iterator[Exception | None]:
        for step in steps:
            if isinstance(step, int):
                yield from (None for _ in range(step))
            elif isinstance(step, Exception):
                yield step
            else:
                step()
        while True:
            yield SourceEndedError()

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def read(self, count: int) -> list[Block]:
        self.asked.append(count)
        blocks: list[Block] = []
        while len(blocks) < count:
            step, self._held = self._held or next(self._script), None
            if step is not None and not blocks:
                raise step
            if step is not None:
                self._held = step
                break
            self.count += 1
            blocks.append(Block(np.full(BLOCK, self.count, np.int16), time.monotonic()))
        return blocks


@pytest.fixture
def stopped() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def follow(capture: Capture, until: str, timeout_s: float = 10.0) -> list[Block | Notice]:
    """Everything up to the first notice of that kind; turns are left out."""
    seen: list[Block | Notice] = []
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for item in capture.get(0.5):
            if isinstance(item, Notice) and item.kind == "heartbeat":
                continue
            seen.append(item)
            if isinstance(item, Notice) and item.kind == until:
                return seen
    raise AssertionError(f"no {until!r} within {timeout_s} s, only {seen[-3:]}")


def kinds(items: list[Block | Notice]) -> list[str]:
    return [item.kind for item in items if isinstance(item, Notice)]


def numbers(items: list[Block | Notice]) -> list[int]:
    return [int(item.samples[0]) for item in items if isinstance(item, Block)]


def test_blocks_and_notices_come_in_order(stopped: threading.Event) -> None:
    source = Scripted(20)
    capture = Capture(source, stopped)
    capture.start()
    seen = follow(capture, "ended")
    assert kinds(seen) == ["opened", "ended"]
    assert numbers(seen) == list(range(1, 21))
    assert capture.join(2.0)
    assert source.closed == 1


def test_a_source_that_is_lost_is_closed_and_opened_again(stopped: threading.Event) -> None:
    source = Scripted(3, SourceLostError("unplugged"), 2)
    capture = Capture(source, stopped)
    capture.start()
    seen = follow(capture, "ended")
    assert kinds(seen) == ["opened", "lost", "opened", "ended"]
    assert numbers(seen) == [1, 2, 3, 4, 5]
    assert (source.opened, source.closed) == (2, 2)


def test_while_it_waits_it_shows_that_it_turns(stopped: threading.Event) -> None:
    class Missing(Scripted):
        def open(self) -> None:
            raise SourceLostError("no microphone is connected")

    capture = Capture(Missing(), stopped)
    capture.start()
    turns, end = 0, time.monotonic() + 2.5
    while time.monotonic() < end:
        turns += sum(isinstance(item, Notice) and item.kind == "heartbeat" for item in capture.get(0.2))
    assert turns >= 2


def test_a_slow_reader_loses_nothing_of_a_file(stopped: threading.Event) -> None:
    capture = Capture(Scripted(3 * QUEUE_BLOCKS), stopped)
    capture.start()
    time.sleep(0.3)
    seen = follow(capture, "ended")
    assert numbers(seen) == list(range(1, 3 * QUEUE_BLOCKS + 1))
    assert capture.overruns == 0


def test_of_a_microphone_what_does_not_fit_is_dropped_and_counted(stopped: threading.Event) -> None:
    capture = Capture(Scripted(QUEUE_BLOCKS + 50, waits=False), stopped)
    capture.start()
    time.sleep(0.3)
    seen = follow(capture, "ended")
    assert len(numbers(seen)) + capture.overruns == QUEUE_BLOCKS + 50
    assert capture.overruns >= 49


def test_a_read_that_hangs_is_noticed_from_another_thread(
    stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_LIMIT_S", 0.2)
    release = threading.Event()
    capture = Capture(Scripted(2, lambda: release.wait(5) and None), stopped)
    capture.start()
    assert capture.stuck_call() is None
    time.sleep(0.5)
    assert capture.stuck_call() == "read"
    release.set()
    follow(capture, "ended")
    assert capture.stuck_call() is None


def test_mute_closes_the_source_and_unmute_opens_it_again(stopped: threading.Event) -> None:
    pace = threading.Event()
    source = Scripted(*[part for _ in range(400) for part in (1, lambda: pace.wait(0.01) and None)])
    capture = Capture(source, stopped)
    capture.start()
    follow(capture, "opened")
    capture.set_muted(True)
    follow(capture, "muted")
    assert source.closed == 1
    heard = source.count
    time.sleep(0.3)
    assert source.count == heard
    capture.set_muted(False)
    follow(capture, "opened")
    time.sleep(0.2)
    assert source.count > heard


def test_a_thread_that_breaks_says_so(stopped: threading.Event) -> None:
    capture = Capture(Scripted(1, ZeroDivisionError("bug")), stopped)
    capture.start()
    assert "ZeroDivisionError: bug" in str(follow(capture, "failed")[-1])


def test_several_blocks_at_once_are_waited_for_but_a_notice_is_not(stopped: threading.Event) -> None:
    pace = threading.Event()
    source = Scripted(*[part for _ in range(12) for part in (1, lambda: pace.wait(0.02) and None)])
    capture = Capture(source, stopped)
    capture.start()
    follow(capture, "opened")
    sizes = [len(capture.get(1.0, at_least=4)) for _ in range(2)]
    assert all(size >= 4 for size in sizes)
    begun = time.monotonic()
    follow(capture, "ended")
    assert time.monotonic() - begun < 1.5


def test_as_much_is_read_at_once_as_the_reader_waits_for(stopped: threading.Event) -> None:
    pace = threading.Event()
    source = Scripted(*[part for _ in range(400) for part in (1, lambda: pace.wait(0.002) and None)])
    capture = Capture(source, stopped)
    capture.start()
    follow(capture, "opened")
    for wanted in (8, 1, 4):
        # What was being read before that comes first.
        for _ in range(3):
            capture.get(1.0, at_least=wanted)
        del source.asked[:]
        assert sum(len(capture.get(1.0, at_least=wanted)) for _ in range(4)) >= 4 * wanted
        assert set(source.asked) == {wanted}


def test_a_source_that_gives_a_block_less_is_not_waited_for_a_second_time(stopped: threading.Event) -> None:
    class Short(Scripted):
        def read(self, count: int) -> list[Block]:
            given.wait(10)
            given.clear()
            return super().read(count - 1)

    given = threading.Event()
    capture = Capture(Short(100), stopped)
    capture.get(0.0, at_least=8)
    capture.start()
    follow(capture, "opened")
    capture.get(0.0, at_least=8)
    given.set()
    capture.get(1.0, at_least=8)  # what was asked for before
    threading.Timer(0.3, given.set).start()
    begun = time.monotonic()
    assert len(capture.get(8.0, at_least=8)) == 7
    assert time.monotonic() - begun < 6.0
    stopped.set()
    given.set()
    assert capture.join(5.0)


def test_what_was_being_read_when_it_was_muted_is_not_heard(stopped: threading.Event) -> None:
    reading, muted = threading.Event(), threading.Event()

    def wait_for_mute() -> None:
        reading.set()
        muted.wait(10)

    source = Scripted(8, wait_for_mute, 100, waits=False)
    capture = Capture(source, stopped)
    capture.start()
    assert reading.wait(10)
    capture.set_muted(True)
    muted.set()
    assert numbers(follow(capture, "muted")) == list(range(1, 9))
