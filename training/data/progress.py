"""Progress of long loops: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)
T = TypeVar("T")
EVERY_S: Final = 20.0
"""Seconds between two lines of a log."""


def progress(items: Sequence[T], title: str, unit: str, *, quiet: bool = False) -> Iterator[T]:
    """Iterate over `items` and show how far it is; with `quiet` nothing is shown.

    Where standard error is no terminal, lines are logged: how many are done, and about how long the others take.
    """
    if quiet:
        yield from items
        return
    if sys.stderr.isatty():
        yield from tqdm(items, title, unit=unit)
        return
    begun = shown = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - shown >= EVERY_S:
            shown = now
            left = (now - begun) / done * (len(items) - done)
            log.info("%s: %d of %d %ss, about %s left", title, done, len(items), unit, _span(left))
        yield item


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return (
        f"{seconds:.0f} s"
        if minutes < 2
        else f"{minutes:.0f} min"
        if minutes < 120
        else f"{minutes / 60:.1f} h"
    )
