"""Returns memory to the system that a long-running process holds without need.

XNNPACK copies the weights into its own order; the pages of the file would stay resident: 11 MB of about 90 on a small
machine. The same holds for the code and the constants of libraries that only the start needs, and for the heap that an
utterance leaves behind. The kernel reads pages of files again if they are needed.
"""

from __future__ import annotations

import ctypes
import functools
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_MADV_DONTNEED: Final = 4  # asm-generic/mman-common.h
_PT_LOAD, _PF_W, _PF_R = 1, 2, 4  # elf.h
PAGE: Final = resource.getpagesize()


def release(path: Path) -> int:
    """Drop the resident pages of every read-only mapping of the file in this process; returns the bytes mapped.

    Writable mappings are not touched: their changes would be lost. Does nothing on systems other than Linux.
    """
    wanted = str(path.resolve())
    return _release(lambda mapping: mapping.path == wanted and "w" not in mapping.permissions)


def release_code() -> int:
    """Drop the resident pages of executable code that was read from files; returns the bytes mapped.

    Code is never changed after loading, as data of libraries is. What is in use comes back within milliseconds, from
    the page cache.
    """
    return _release(lambda mapping: mapping.permissions.startswith("r-x"))


def release_constants() -> int:
    """Drop the resident pages of what libraries have for reading alone (texts, tables); returns the bytes mapped.

    What the loader has written to and protected afterwards looks the same among the mappings, and would be lost. Only
    a mapping that is a whole segment without the right to write is dropped, by the headers of the file: also where
    another thread loads a library meanwhile.
    """
    return _release(
        lambda mapping: (
            mapping.permissions == "r--p" and (mapping.offset, mapping.size) in _constants(mapping.path)
        )
    )


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
            release_constants()
        if utterances != self._utterances:
            self._utterances = utterances
            trim_heap()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class _Mapping(NamedTuple):
    """A mapping of a file: its permissions such as `r--p`, where it begins in the file, and bytes."""

    path: str
    permissions: str
    offset: int
    size: int


def _constants(path: str) -> set[tuple[int, int]]:
    """Offset and size, in whole pages, of the segments of a library or program that are loaded for reading alone."""
    found, written = set(), set()
    try:
        with Path(path).open("rb") as file:
            for kind, flags, offset, length in _segments(file):
                begin = offset // PAGE * PAGE
                if kind == _PT_LOAD and flags & _PF_W:
                    written.add(begin)
                elif kind == _PT_LOAD and flags == _PF_R:
                    found.add((begin, -(-(offset + length) // PAGE) * PAGE - begin))
    except (OSError, ValueError, IndexError, struct.error):
        # No such file, or no library.
        return set()
    return {(begin, length) for begin, length in found if begin not in written}


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Kind, flags, offset and size in the file of each segment of a library or program.

    Raises `OSError`, `ValueError`, `IndexError` and `struct.error` for other files.
    """
    head = file.read(64)
    if head[:4] != b"\x7fELF":
        return
    wide = head[4] == 2
    (table,) = struct.unpack_from("<Q" if wide else "<I", head, 32 if wide else 28)
    size, count = struct.unpack_from("<HH", head, 54 if wide else 42)
    for number in range(count):
        file.seek(table + number * size)
        row = file.read(size)
        if wide:
            kind, flags, offset, _, _, length = struct.unpack_from("<IIQQQQ", row)
        else:
            kind, offset, _, _, length, _, flags = struct.unpack_from("<IIIIIII", row)
        yield kind, flags, offset, length


def _release(wanted: Callable[[_Mapping], bool]) -> int:
    """Drop the resident pages of the mappings of files that `wanted` chooses."""
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
        if len(fields) < 6 or not fields[5].startswith("/"):
            continue
        begin, end = (int(number, 16) for number in fields[0].split("-"))
        chosen = wanted(_Mapping(fields[5], fields[1], int(fields[2], 16), end - begin))
        if (
            chosen
            and _libc().madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED) == 0
        ):
            size += end - begin
    return size
