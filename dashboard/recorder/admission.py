"""How many events of one device are stored: as many as elapsed time and requested replays can explain.

People speak at most about two utterances a second. A device that was offline sends what it kept meanwhile, so its
budget grows with the time since its last event. Beyond the budget events are held back without an acknowledgement,
so that the broker slows down, and then refused; refused events are recorded as a gap.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from edge.util.rate_limit import TokenBucket

EVENTS_PER_S: Final = 2.0
INITIAL_EVENTS: Final = 10_000
"""Budget of a device that was never seen: the events that a device keeps by default while it is offline."""
LONGEST_ABSENCE_S: Final = 7 * 86_400
"""Devices and broker keep events for a week by default: a longer absence does not enlarge the budget."""
LONGEST_BOOT_EVENTS: Final = 365 * 86_400 * 2
"""A sequence number beyond a year of speech is not believed."""
MAX_REPLAY: Final = 10_000
"""The most events that one requested replay adds to the budget."""
MAX_HELD: Final = 500
MAX_HELD_PER_DEVICE: Final = 50
"""Each held message occupies a place of those that the broker may have in flight."""
MAX_DEVICES: Final = 20_000
"""Devices whose budget is remembered; those that were quiet longest are forgotten first."""


class Admission:
    """Decides for each event: store, hold back or refuse. Not thread-safe.

    Args:
        last_received: returns when the last event of each of some devices was received (seconds since 1970); those that
            were never seen are left out.
        clock: returns monotonic seconds.
        now: returns seconds since 1970.
    """

    def __init__(
        self,
        last_received: Callable[[Collection[str]], Mapping[str, float]],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._last_received = last_received
        self._clock = clock
        self._now = now
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def prepare(self, nodes: Collection[str]) -> None:
        """Look up the devices that are not known yet, all at once. Raises what `last_received` raises."""
        unknown = [node for node in dict.fromkeys(nodes) if node not in self._budgets]
        if not unknown:
            return
        received = self._last_received(unknown)
        for node in unknown:
            last = received.get(node)
            absence = 0.0 if last is None else min(max(self._now() - last, 0.0), LONGEST_ABSENCE_S)
            burst = INITIAL_EVENTS + EVENTS_PER_S * LONGEST_ABSENCE_S
            start = INITIAL_EVENTS + EVENTS_PER_S * absence
            self._budgets[node] = _Budget(TokenBucket(EVENTS_PER_S, burst, self._clock, start=start))
        while len(self._budgets) > MAX_DEVICES:
            self._budgets.popitem(last=False)

    def allow_replay(self, node: str, events: int) -> None:
        """Add the events of a replay that was requested from a device."""
        self._budget(node).replay += min(events, MAX_REPLAY)

    def admits(self, node: str) -> bool:
        """Return whether one more event of a device is within its budget, and count it if so."""
        return self._budget(node).take()

    def _budget(self, node: str) -> _Budget:
        if node not in self._budgets:
            self.prepare((node,))
        self._budgets.move_to_end(node)
        return self._budgets[node]


@dataclass
class _Budget:
    bucket: TokenBucket
    replay: int = 0
    """Events of requested replays that have not come yet."""

    def take(self) -> bool:
        if self.bucket.take() == 0.0:
            return True
        if self.replay > 0:
            self.replay -= 1
            return True
        return False


class RefusedRanges:
    """Joins refused events to ranges of sequence numbers: one flood is one gap, however many events it has."""

    MAX_PER_DEVICE: Final = 16

    def __init__(self) -> None:
        self.changed = False
        """Whether ranges have grown; reset by the caller when they are stored."""
        self._ranges: dict[str, OrderedDict[str, tuple[int, int]]] = {}

    def add(self, node: str, boot: str, seq: int) -> None:
        """Note a refused event. Beyond `MAX_PER_DEVICE` boots of a device only the known ones are extended."""
        self.changed = True
        ranges = self._ranges.setdefault(node, OrderedDict())
        if boot in ranges:
            first, last = ranges[boot]
            ranges[boot] = first, max(last, seq)
        elif len(ranges) < self.MAX_PER_DEVICE:
            ranges[boot] = seq, seq

    def items(self) -> list[tuple[str, str, int, int]]:
        """Return node, boot, first and last sequence number of each range."""
        return [
            (node, boot, first, last)
            for node, ranges in self._ranges.items()
            for boot, (first, last) in ranges.items()
        ]

    def clear(self) -> None:
        """Forget all ranges, so that a later flood is a new one."""
        self._ranges.clear()
