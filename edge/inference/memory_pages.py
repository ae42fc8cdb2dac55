"""Returns memory to the system that a long-running process holds without need.

XNNPACK copies the weights into its own order; the pages of the file would stay resident: 11 MB of about 90 on a small
machine. The same holds for the code of libraries that only the start runs, and for the heap that an utterance leaves
behind. The kernel reads pages of files again if they are needed.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MADV_DONTNEED: Final = 4  # asm-generic/mman-common.h


def release(path: Path) -> int:
    """Drop the resident pages of every read-only mapping of the file in this process; returns the bytes mapped.

    Writable mappings are not touched: their changes would be lost. Does nothing on systems other than Linux.
    """
    wanted = str(path.resolve())
    return _release(lambda permissions, name: name == wanted and "w" not in permissions)


def release_code() -> int:
    """Drop the resident pages of executable code that was read from files; returns the bytes mapped.

    Code is never changed after loading, as data of libraries is. What is in use comes back within milliseconds, from
    the page cache.
    """
    return _release(lambda permissions, name: permissions.startswith("r-x") and name.startswith("/"))


def trim_heap() -> None:
    """Return the free memory of the heap to the system, where the C library can (glibc)."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


class MemoryReleaser:
    """Returns what the start has left behind, and then what each utterance does. Not thread-safe."""

    def __init__(self) -> None:
        self._utterances: int | None = None

    def run(self, utterances: int) -> None:
        """Release memory where that is due: it takes milliseconds, so call it when there is no speech.

        `utterances`: how many were classified so far.
        """
        if self._utterances is None:
            release_code()
        if utterances != self._utterances:
            self._utterances = utterances
            trim_heap()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _release(wanted: Callable[[str, str], bool]) -> int:
    """Drop the resident pages of the mappings that `wanted` chooses by permissions and path."""
    if sys.platform != "linux":
        return 0
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return 0
    size = 0
    for line in lines:
        # address perms offset dev inode pathname
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and wanted(fields[1], fields[5]):
            begin, end = (int(number, 16) for number in fields[0].split("-"))
            if _libc().madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED) == 0:
                size += end - begin
    return size
