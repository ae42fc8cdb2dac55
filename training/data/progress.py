"""Progress of long loops: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Final, Generic, TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)
T = TypeVar("T")
EVERY_S: Final = 20.0
"""Seconds between two lines of a log."""


class Progress(Generic[T]):
    """Iterates over items and shows how far it is; with `quiet` nothing is shown.

    Where standard error is no terminal, lines are logged: how many are done, and about how long the others take.

        for step in Progress(steps, "stage 1", "step"):
            ...
    """

    def __init__(
        self,
        items: Iterable[T],
        title: str,
        unit: str,
        *,
        total: int | None = None,
        done: int = 0,
        quiet: bool = False,
    ) -> None:
        """`total`: how many there are, where `items` has no length; `done`: so many of them came before `items`."""
        self._items, self._title, self._unit = items, title, unit
        self._total = len(items) if total is None and isinstance(items, Sized) else total or 0
        self._done, self._quiet = done, quiet
        self._note = ""
        self._bar: tqdm[T] | None = None

    def note(self, text: str) -> None:
        """Show a few words behind the number, such as a loss."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def __iter__(self) -> Iterator[T]:
        if not self._quiet and sys.stderr.isatty():
            self._bar = tqdm(
                self._items, self._title, self._total, unit=self._unit, initial=self._done, mininterval=0.5
            )
            yield from self._bar
            return
        begun = shown = time.monotonic()
        for number, item in enumerate(self._items):
            now = time.monotonic()
            if number and not self._quiet and now - shown >= EVERY_S:
                shown = now
                self._log(number, now - begun)
            yield item

    def _log(self, number: int, seconds: float) -> None:
        done = self._done + number
        left = _span(seconds / number * max(0, self._total - done))
        note = f", {self._note}" if self._note else ""
        log.info("%s: %d of %d %ss, about %s left%s", self._title, done, self._total, self._unit, left, note)


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return (
        f"{seconds:.0f} s"
        if minutes < 2
        else f"{minutes:.0f} min"
        if minutes < 120
        else f"{minutes / 60:.1f} h"
    )
