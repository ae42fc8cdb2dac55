"""The search for unused objects (cyclic garbage collection), which a start does not need."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Look for no unused objects in this block; the first time also never again among those that exist at its end.

    For imports: they create hundreds of thousands of objects that stay, and looking through them again and again takes
    a tenth of the time of a start. Where the search was off already, it stays off.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        if was_on and not gc.get_freeze_count():
            gc.freeze()
    finally:
        if was_on:
            gc.enable()
