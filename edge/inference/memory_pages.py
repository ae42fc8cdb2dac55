"""Releases the memory of a model file that the interpreter has mapped and no longer reads.

XNNPACK copies the weights into its own order; the pages of the file would stay resident: 11 MB of about 90 on a small
machine. The kernel reads them again from the file if they are needed.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Final

_MADV_DONTNEED: Final = 4  # asm-generic/mman-common.h


def release(path: Path) -> int:
    """Drop the resident pages of every read-only mapping of the file in this process; returns the bytes mapped.

    Writable mappings are not touched: their changes would be lost. Does nothing on systems other than Linux.
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
