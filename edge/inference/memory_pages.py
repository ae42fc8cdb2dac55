"""Gives back the memory of a model file that the interpreter has mapped and no longer reads.

XNNPACK keeps the weights in an order of its own; the pages of the file, read once for that, would stay resident:
11 MB of about 90 on a small machine. The kernel reads them again from the file should they be needed.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Final

_MADV_DONTNEED: Final = 4  # asm-generic/mman-common.h


def give_back(path: Path) -> int:
    """Drops the resident pages of every read-only mapping of the file in this process; returns the bytes mapped.

    A mapping that can be written is left alone: its changes would be lost. Does nothing where there is no Linux.
    """
    if sys.platform != "linux":
        return 0
    wanted = str(path.resolve())
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    size = 0
    for line in lines:
        # address perms offset dev inode pathname
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == wanted and "w" not in fields[1]:
            begin, end = (int(number, 16) for number in fields[0].split("-"))
            if libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED) == 0:
                size += end - begin
    return size
