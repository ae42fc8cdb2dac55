"""How much of a recording is there of what its header says: a copy or recording that ended midway has less.

What is there is read all the same; the rest is to be reported as missing.
"""

from __future__ import annotations

from typing import Final

from edge.audio.containers import Source, reader, size_of
from edge.audio.flac_length import declared_and_found
from edge.audio.riff import MAX_CHUNKS, UNKNOWN_SIZE, ByteOrder, ReadAt

TOLERATED_BYTES: Final = 1024
"""Some programs count a part of the header as sound."""
PLACEHOLDER_BYTES: Final = 0x7FF00000
"""From this size on a header of 32 bits means that its writer did not know the length."""
UNKNOWN_BYTES: Final = 1 << 62
"""The same of 64 bits."""
W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_DATA: Final = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


def share(source: Source) -> float:
    """Return the part of the sound that is there, 0 to 1; 1 where it is whole, or where the header does not tell.

    Args:
        source: a descriptor or an open file. The position of an open file (not of a descriptor) is moved.
    """
    read_at, size = reader(source), size_of(source)
    head = read_at(0, 12)
    found: tuple[int, int] | None = None
    if head[:4] in (b"RF64", b"BW64") and head[8:] == b"WAVE":
        found = _large_wav(read_at, size)
    elif head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        found = _narrow(_chunk(read_at, size, b"data", "big" if head[:4] == b"RIFX" else "little"))
    elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        found = _narrow(_chunk(read_at, size, b"SSND", "big"))
    elif head[:4] == b".snd":
        found = _narrow((int.from_bytes(head[8:], "big"), size - int.from_bytes(head[4:8], "big")))
    elif head[:4] == b"fLaC":
        found = declared_and_found(read_at, size)
    elif head[:4] == b"caff":
        found = _caf(read_at, size)
    elif head == W64_RIFF[:12]:
        found = _w64(read_at, size)
    if found is None:
        return 1.0
    declared, there = found
    return 1.0 if there < 0 or declared - there <= TOLERATED_BYTES else there / declared


def _narrow(found: tuple[int, int] | None) -> tuple[int, int] | None:
    """None for a size of 32 bits by which a writer says that it does not know the length."""
    return None if found is not None and found[0] >= PLACEHOLDER_BYTES else found


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


def _large_wav(read_at: ReadAt, size: int) -> tuple[int, int] | None:
    """The same of a WAV file whose sizes of 64 bits stand in a chunk of their own, in front."""
    found = _chunk(read_at, size, b"data", "little")
    sizes = read_at(12, 28)
    if found is None or found[0] < UNKNOWN_SIZE:
        return _narrow(found)
    return (int.from_bytes(sizes[16:24], "little"), found[1]) if sizes[:4] == b"ds64" else None


def _caf(read_at: ReadAt, size: int) -> tuple[int, int] | None:
    """The same of a Core Audio file, whose sizes are of 64 bits; the size of the sound is -1 where it is not known."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = read_at(at, 12)
        declared = int.from_bytes(head[4:], "big", signed=True)
        if len(head) < 12 or declared < 0:
            return None
        if head[:4] == b"data":
            return declared, size - at - 12
        at += 12 + declared
    return None


def _w64(read_at: ReadAt, size: int) -> tuple[int, int] | None:
    """The same of a Wave64 file: chunks have names of 16 bytes, and sizes of 64 bits that count their own head."""
    at = 40
    for _ in range(MAX_CHUNKS):
        head = read_at(at, 24)
        declared = int.from_bytes(head[16:], "little")
        if len(head) < 24 or not 24 <= declared < UNKNOWN_BYTES:
            return None
        if head[:16] == W64_DATA:
            return declared - 24, size - at - 24
        at += -(-declared // 8) * 8
    return None
