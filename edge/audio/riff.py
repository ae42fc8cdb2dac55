"""Finds the sound in WAV files whose headers are wrong: the layout, the sizes and the order of the chunks.

Recorders that lose power leave a data size of 0 or an old one, some programs forget padding bytes, write a chunk
twice, or leave out what the format demands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np

Piece: TypeAlias = bytes | tuple[int, int]
"""Bytes as they are, or offset and length of a part of the file."""
ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Reads so many bytes at an offset; fewer at the end."""
ByteOrder: TypeAlias = Literal["little", "big"]

MAGIC: Final = (b"RIFF", b"RIFX", b"RF64", b"BW64")
FORMAT_CHUNK_LIMIT: Final = 4096
MAX_CHUNKS: Final = 10_000
SEARCH_LIMIT: Final = 1 << 20
"""Bytes that are searched for the sound behind a chunk with a wrong size."""
UNKNOWN_SIZE: Final = 0xFFFFFFFF
PCM: Final = 1
EXTENSIBLE: Final = 0xFFFE


def is_wav(head: bytes) -> bool:
    """Return whether a file that begins with these bytes (at least 12) is a WAV file."""
    return head[:4] in MAGIC and head[8:12] == b"WAVE"


def wav_pieces(read_at: ReadAt, size: int) -> list[Piece] | None:
    """Return the pieces of a WAV file with one `fmt ` and one `data` chunk; None where libsndfile reads it as it is."""
    found = _Chunks(read_at, size)
    found.read()
    if found.layout is None or not found.sound:
        return None
    layout = found.layout if found.order == "big" else _repaired_layout(found.layout)
    if len(layout) < 16 or (found.regular and layout == found.layout):
        return None
    total = sum(count for _, count in found.sound)
    header = _header(layout, total, found.order)
    if (
        layout[14:16] == b"\x20\0"
        and found.layout[14:16] == b"\x18\0"
        and _fills_lower_bits(read_at, found.sound[0])
    ):
        # As `arecord -f S24_LE` writes them. Moved by a byte they fill the upper bits, with a byte below any noise.
        *first, (at, count) = found.sound
        return [header, b"\0", *first, (at, count - 1)]
    return [header, *found.sound]


@dataclass
class _Chunks:
    read_at: ReadAt
    size: int
    layout: bytes | None = None
    sound: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each `data` chunk."""
    regular: bool = True
    """Whether libsndfile finds the sound by itself."""
    order: ByteOrder = "little"
    _large: bytes = b""

    def read(self) -> None:
        magic = self.read_at(0, 4)
        self.order = "big" if magic == b"RIFX" else "little"
        self.regular = magic != b"BW64" and self.read_at(4, 4) != b"\0\0\0\0"
        at = 12
        for _ in range(MAX_CHUNKS):
            head = self.read_at(at, 8)
            # Behind the sound there may be anything, such as the tag of a music program.
            if len(head) < 8 or (self.sound and not _is_chunk_name(head[:4])):
                return
            at = self._read_chunk(head[:4], at + 8, int.from_bytes(head[4:], self.order))

    def _read_chunk(self, name: bytes, begin: int, declared: int) -> int:
        """Note what the chunk holds; return where the next one begins."""
        if name == b"data":
            declared = self._length_of_sound(begin, declared)
            self.regular = self.regular and self.layout is not None and not self.sound
            self.sound.append((begin, declared))
        elif begin + declared > self.size and not self.sound:
            # The size is wrong: what follows is found by its name.
            place = self.read_at(begin, SEARCH_LIMIT).find(b"data")
            self.regular = False
            return self.size if place < 0 else begin + place
        elif name == b"fmt ":
            self.regular = self.regular and self.layout is None
            self.layout = self.layout or self.read_at(begin, min(declared, FORMAT_CHUNK_LIMIT))
        elif name == b"ds64":
            self._large = self.read_at(begin, 24)
        at, padded = self._next(begin + declared)
        self.regular = self.regular and padded
        return at

    def _length_of_sound(self, begin: int, declared: int) -> int:
        there = max(0, self.size - begin)
        if declared == UNKNOWN_SIZE:
            if len(self._large) >= 16:
                declared = int.from_bytes(self._large[8:16], "little")
            else:
                declared = there
                self.regular = self.regular and self.read_at(0, 4) != b"RF64"
        is_unset = declared == 0 and there > 0 and not self._only_chunks(begin)
        if is_unset or self._is_outdated(begin + declared, there - declared):
            declared, self.regular = there, False
        return min(declared, there)

    def _is_outdated(self, end: int, behind: int) -> bool:
        """Whether sound goes on for more than half a second behind what the header counts."""
        if self.layout is None or len(self.layout) < 14:
            return False
        half_a_second = max(1000, int.from_bytes(self.layout[8:12], self.order) // 2)
        return behind > half_a_second and not any(self._is_chunk(at) for at in (end, end + 1))

    def _is_chunk(self, at: int) -> bool:
        head = self.read_at(at, 8)
        return _is_chunk_name(head[:4]) and at + 8 + int.from_bytes(head[4:], self.order) <= self.size

    def _next(self, end: int) -> tuple[int, bool]:
        """Where the chunk after one that ends there begins, and whether a padding byte is where it must be."""
        if end % 2 == 0:
            return end, True
        if _is_chunk_name(self.read_at(end, 4)) and not _is_chunk_name(self.read_at(end + 1, 4)):
            return end, False
        return end + 1, True

    def _only_chunks(self, at: int) -> bool:
        """Whether there are only whole chunks from here on, so that a data size of 0 means no sound."""
        while at < self.size:
            head = self.read_at(at, 8)
            if len(head) < 8 or not _is_chunk_name(head[:4]):
                return False
            at += 8 + int.from_bytes(head[4:], self.order)
            at += at % 2
        return at in (self.size, self.size + 1)


def _is_chunk_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _repaired_layout(layout: bytes) -> bytes:
    """The content of a `fmt ` chunk with the number of bits and the codec that its other fields mean."""
    if len(layout) < 14:
        return layout
    tag, channels, rate, per_second, align = struct.unpack("<HHIIH", layout[:14])
    bits = int.from_bytes(layout[14:16], "little")
    if tag == EXTENSIBLE and (len(layout) < 40 or layout[24:26] == b"\0\0"):
        tag, layout = PCM, layout[:16]
    if tag not in (PCM, EXTENSIBLE) or not channels or align % channels:
        return layout
    width = align // channels
    # 24 bits in words of 32: such a sample fills the upper bits.
    wider = width > -(-bits // 8) and per_second == rate * align
    if width and (bits == 0 or wider):
        bits = 8 * width
    return struct.pack("<HHIIHH", tag, channels, rate, per_second, align, bits) + layout[16:]


def _fills_lower_bits(read_at: ReadAt, sound: tuple[int, int]) -> bool:
    """Whether words of 32 bits hold samples of 24 in their lower bits."""
    data = read_at(sound[0], min(sound[1], SEARCH_LIMIT))
    words = np.frombuffer(data[: len(data) // 4 * 4], "<i4")
    if not words.size or words.min() < -(2**23) or words.max() >= 2**23:
        return False
    # In the upper bits they would be below -48 dBFS, and a recording of 24 bits would not have empty lower ones.
    return bool((words & 0xFF).any() or np.abs(words).max() >= 2**20)


def _header(layout: bytes, data: int, order: ByteOrder) -> bytes:
    """Everything of a WAV file up to its samples; RF64 from 4 GiB on."""

    def number(value: int) -> bytes:
        return value.to_bytes(4, order)

    chunk = b"fmt " + number(len(layout)) + layout + b"\0" * (len(layout) % 2)
    total = 4 + len(chunk) + 8 + data
    if order == "big" or total < UNKNOWN_SIZE - 64:
        magic = b"RIFX" if order == "big" else b"RIFF"
        return (
            magic
            + number(min(total, UNKNOWN_SIZE))
            + b"WAVE"
            + chunk
            + b"data"
            + number(min(data, UNKNOWN_SIZE))
        )
    align = int.from_bytes(layout[12:14], "little") or 1
    sizes = b"ds64" + struct.pack("<IQQQI", 28, total + 36, data, data // align, 0)
    return b"RF64" + number(UNKNOWN_SIZE) + b"WAVE" + sizes + chunk + b"data" + number(UNKNOWN_SIZE)
