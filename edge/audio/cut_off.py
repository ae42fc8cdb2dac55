"""How much of a recording is there of what its header says: a copy or recording that ended midway has less.

What is there is read all the same; the rest is to be reported as missing.
"""

from __future__ import annotations

from typing import Final

from edge.audio.containers import Source, reader, size_of
from edge.audio.flac_length import declared_and_found
from edge.audio.riff import MAX_CHUNKS, ByteOrder, ReadAt

TOLERATED_BYTES: Final = 1024
"""Some programs count a part of the header as sound."""
PLACEHOLDER_BYTES: Final = 0x7FF00000
"""From this size on a header of 32 bits means that its writer did not know the length."""


def share(source: Source) -> float:
    """Return the part of the sound that is there, 0 to 1; 1 where it is whole, or where the header does not tell.

    Args:
        source: a descriptor or an open file. The position of an open file (not of a descriptor) is moved.
    """
    read_at, size = reader(source), size_of(source)
    head = read_at(0, 12)
    found: tuple[int, int] | None = None
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
        found = _chunk(read_at, size, b"data", "big" if head[:4] == b"RIFX" else "little")
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        found = _chunk(read_at, size, b"SSND", "big")
    elif head[:4] == b".snd":
        found = int.from_bytes(head[8:], "big"), size - int.from_bytes(head[4:8], "big")
    elif head[:4] == b"fLaC":
        found = declared_and_found(read_at, size)
    if found is None:
        return 1.0
    declared, there = found
    whole = declared >= PLACEHOLDER_BYTES or there < 0 or declared - there <= TOLERATED_BYTES
    return 1.0 if whole else there / declared


def _chunk(read_at: ReadAt, size: int, name: bytes, order: ByteOrder) -> tuple[int, int] | None:
    """The size of a chunk according to its header, and how many bytes follow; None without such a chunk."""
    at = 12
    for _ in range(MAX_CHUNKS):
        head = read_at(at, 8)
        if len(head) < 8:
            return None
        declared = int.from_bytes(head[4:], order)
        if head[:4] == name:
            return declared, size - at - 8
        at += 8 + declared + declared % 2
    return None
