"""Finds the sound in audio files whose headers a decoder does not follow, and names containers that need another one.

Recorders that lose power leave a data size of 0, some programs forget padding bytes, taggers put zeros between tag and
sound: the sound is there, and `repair` shows it to libsndfile behind a header that is right. The file itself is not
changed and nothing is copied: `Pieces` reads the parts from where they are.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Sequence
from typing import IO, Any, Final, TypeAlias

Piece: TypeAlias = bytes | tuple[int, int]
"""Bytes as they are, or offset and length of a part of the file."""
ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Reads so many bytes at an offset; fewer at the end."""

FORMAT_CHUNK_LIMIT: Final = 4096
MAX_CHUNKS: Final = 10_000
MAX_LEADING_ZEROS: Final = 1 << 20
UNKNOWN_SIZE: Final = 0xFFFFFFFF
EXTERNAL_MAGIC: Final = {
    b"\x1aE\xdf\xa3": ("Matroska/WebM", "matroska"),
    b"ADIF": ("AAC", "aac"),
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): ("Windows Media (WMA)", "asf"),
    b"#!AMR": ("AMR", "amr"),
}
"""First bytes of containers, with their name and ffmpeg's demuxer."""
OGG_HEADER: Final = struct.Struct("<4sBBqIIIB")
OGG_FLAC_PREFIX: Final = 9
"""Bytes before `fLaC` in the first packet of FLAC in Ogg: 0x7F, `FLAC`, version, number of headers."""


class Pieces(io.RawIOBase):
    """A read-only file made of parts of another file and of bytes of its own."""

    def __init__(self, source: int | IO[bytes], pieces: Sequence[Piece]) -> None:
        self._read_at = reader(source)
        self._pieces = [piece for piece in pieces if length(piece)]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + length(piece))
        self._position = 0
        self._index = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, base + offset)
        self._index = 0 if self._position < self._starts[self._index] else self._index
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes; return how many were read."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            data = self._next(len(view) - filled)
            if not data:
                break
            view[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def _next(self, most: int) -> bytes:
        while self._index < len(self._pieces) and self._position >= self._starts[self._index + 1]:
            self._index += 1
        if self._index == len(self._pieces):
            return b""
        piece = self._pieces[self._index]
        begin = self._position - self._starts[self._index]
        size = min(most, length(piece) - begin)
        data = (
            piece[begin : begin + size] if isinstance(piece, bytes) else self._read_at(piece[0] + begin, size)
        )
        self._position += len(data)
        return data


def length(piece: Piece) -> int:
    """Return the length of a piece in bytes."""
    return len(piece) if isinstance(piece, bytes) else piece[1]


def reader(source: int | IO[bytes]) -> ReadAt:
    """Return a function that reads a descriptor or an open file at an offset."""
    if isinstance(source, int):
        return lambda offset, size: os.pread(source, size, offset)

    def read_at(offset: int, size: int) -> bytes:
        source.seek(offset)
        return source.read(size)

    return read_at


def size_of(source: int | IO[bytes]) -> int:
    """Return the size of a descriptor or an open file in bytes."""
    return os.fstat(source).st_size if isinstance(source, int) else source.seek(0, os.SEEK_END)


def repair(source: int | IO[bytes]) -> Pieces | None:
    """Return the sound behind a correct header, or None for a file that needs none or is not known.

    Args:
        source: a descriptor or an open file, which must stay open while the result is read. The
            position of an open file (not of a descriptor) is moved, also where the result is None:
            seek to 0 before decoding it as it is.
    """
    read_at, size = reader(source), size_of(source)
    head = read_at(0, 64)
    pieces: list[Piece] | None = None
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        pieces = _wav(read_at, size)
    elif head[:4] == b"OggS":
        pieces = _ogg_flac(read_at, size)
    elif head[:3] == b"ID3" or head[:1] == b"\0":
        begin = _behind_tags(read_at, size)
        if head[:3] != b"ID3" and read_at(begin, 2)[:1] != b"\xff":
            return None
        pieces = [(begin, size - begin)] if 0 < begin < size else None
    return None if pieces is None else Pieces(source, pieces)


def external_kind(source: int | IO[bytes]) -> tuple[str, str] | None:
    """Return name and ffmpeg demuxer of a container that libsndfile does not read, or None for any other file."""
    read_at = reader(source)
    head = read_at(0, 64)
    if head[:3] == b"ID3":
        head = read_at(_behind_tags(read_at, size_of(source)), 64)
    if head[4:8] == b"ftyp":
        return ("3GP" if head[8:10] == b"3g" else "MP4 (M4A, AAC)"), "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC", "aac"
    return next((kind for magic, kind in EXTERNAL_MAGIC.items() if head.startswith(magic)), None)


def _behind_tags(read_at: ReadAt, size: int) -> int:
    """The offset behind ID3 tags and zeros."""
    at = 0
    while at < size:
        head = read_at(at, 10)
        if head[:3] == b"ID3" and len(head) == 10:
            parts = head[6:10]
            at += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(parts, (21, 14, 7, 0), strict=True))
            at += 10 if head[5] & 0x10 else 0
            continue
        block = read_at(at, 4096)
        zeros = len(block) - len(block.lstrip(b"\0"))
        at += zeros
        if not zeros or at > MAX_LEADING_ZEROS + size // 2:
            break
    return min(at, size)


def _wav(read_at: ReadAt, size: int) -> list[Piece] | None:
    """Pieces of a WAV file with one `fmt ` and one `data` chunk; None where libsndfile reads the file as it is."""
    layout: bytes | None = None
    large: bytes = b""
    regular = read_at(0, 4) != b"BW64" and read_at(4, 4) != b"\0\0\0\0"
    at = 12
    for _ in range(MAX_CHUNKS):
        head = read_at(at, 8)
        if len(head) < 8:
            return None
        name, declared = head[:4], int.from_bytes(head[4:], "little")
        begin = at + 8
        if name == b"data":
            break
        if name == b"fmt ":
            layout = read_at(begin, min(declared, FORMAT_CHUNK_LIMIT))
        elif name == b"ds64":
            large = read_at(begin, 24)
        at, padded = _next_chunk(read_at, begin + declared)
        regular = regular and padded
    else:
        return None
    if layout is None or len(layout) < 14:
        return None
    if declared == UNKNOWN_SIZE and len(large) >= 16:
        declared = int.from_bytes(large[8:16], "little")
    there = size - begin
    if declared == 0 and there > 0 and not _chunks_to_the_end(read_at, begin, size):
        declared, regular = there, False
    declared = min(declared, there)
    return None if regular else [_wav_header(layout, declared), (begin, declared)]


def _next_chunk(read_at: ReadAt, end: int) -> tuple[int, bool]:
    """Where the chunk after one that ends there begins, and whether a padding byte is where it must be."""
    if end % 2 == 0:
        return end, True
    if _is_chunk_name(read_at(end, 4)) and not _is_chunk_name(read_at(end + 1, 4)):
        return end, False
    return end + 1, True


def _is_chunk_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _chunks_to_the_end(read_at: ReadAt, at: int, size: int) -> bool:
    """Whether there are only whole chunks from here on, so that a data size of 0 means no sound."""
    while at < size:
        head = read_at(at, 8)
        if len(head) < 8 or not _is_chunk_name(head[:4]):
            return False
        at += 8 + int.from_bytes(head[4:], "little")
        at += at % 2
    return at in (size, size + 1)


def _wav_header(layout: bytes, data: int) -> bytes:
    """Everything of a WAV file up to its samples; RF64 from 4 GiB on."""
    chunk = b"fmt " + len(layout).to_bytes(4, "little") + layout + b"\0" * (len(layout) % 2)
    total = 4 + len(chunk) + 8 + data
    if total < UNKNOWN_SIZE - 64:
        return b"RIFF" + struct.pack("<I", total) + b"WAVE" + chunk + b"data" + struct.pack("<I", data)
    align = int.from_bytes(layout[12:14], "little") or 1
    sizes = b"ds64" + struct.pack("<IQQQI", 28, total + 36, data, data // align, 0)
    unknown = struct.pack("<I", UNKNOWN_SIZE)
    return b"RF64" + unknown + b"WAVE" + sizes + chunk + b"data" + unknown


def _ogg_flac(read_at: ReadAt, size: int) -> list[Piece] | None:
    """The native FLAC stream inside Ogg; None for any other codec."""
    pieces: list[Piece] = []
    serial, at, samples = None, 0, 0
    while at + OGG_HEADER.size <= size:
        magic, _, _, position, stream, _, _, count = OGG_HEADER.unpack(read_at(at, OGG_HEADER.size))
        if magic != b"OggS":
            break
        begin = at + OGG_HEADER.size + count
        payload = sum(read_at(at + OGG_HEADER.size, count))
        if serial is None:
            if read_at(begin, 5) != b"\x7fFLAC":
                return None
            serial = stream
            begin, payload = begin + OGG_FLAC_PREFIX, payload - OGG_FLAC_PREFIX
        if stream == serial:
            pieces.append((begin, max(0, min(payload, size - begin))))
            samples = max(samples, position)
        at = begin + payload
    return _with_length(read_at, pieces, samples) if serial is not None else None


def _with_length(read_at: ReadAt, pieces: list[Piece], samples: int) -> list[Piece]:
    """The same with the number of samples in the FLAC header, which a stream leaves at 0."""
    first = pieces[0]
    assert isinstance(first, tuple)
    head = bytearray(read_at(*first))
    # `fLaC`, 4 bytes of block header, 10 bytes of block and frame sizes; then 64 bits that end with 36 of the length.
    if len(head) < 26:
        return pieces
    packed = int.from_bytes(head[18:26], "big")
    if packed & (2**36 - 1) == 0:
        head[18:26] = (packed | min(samples, 2**36 - 1)).to_bytes(8, "big")
    return [bytes(head), *pieces[1:]]
