"""Finds the sound in audio files whose headers a decoder does not follow, and names containers that need another one.

Recorders that lose power leave wrong sizes, encoders that write into a pipe leave none, taggers put zeros between tag
and sound: the sound is there, and `repair` shows it to libsndfile behind a header that is right. The file itself is not
changed and nothing is copied: `Pieces` reads the parts from where they are.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from typing import IO, Any, Final, TypeAlias

from edge.audio.flac_length import flac_pieces
from edge.audio.mpeg import first_frame
from edge.audio.riff import MAX_CHUNKS, Piece, ReadAt, is_wav, wav_pieces

MAX_LEADING_ZEROS: Final = 1 << 20
EXTERNAL_MAGIC: Final = {
    b"\x1aE\xdf\xa3": ("Matroska/WebM", "matroska"),
    b"ADIF": ("AAC", "aac"),
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): ("Windows Media (WMA)", "asf"),
    b"#!AMR": ("AMR", "amr"),
}
"""First bytes of containers, with their name and ffmpeg's demuxer."""
SELF_CONTAINED: Final = (b"FORM", b"riff", b"NIST", b"Crea", b"\x1aE\xdf\xa3", b"ADIF", b"#!AM")
"""First bytes of files that are never searched for the frames of an MP3."""
OGG_HEADER: Final = struct.Struct("<4sBBqIIIB")
OGG_FLAC_PREFIX: Final = 9
"""Bytes before `fLaC` in the first packet of FLAC in Ogg: 0x7F, `FLAC`, version, number of headers."""


Source: TypeAlias = "int | IO[bytes] | Pieces"
"""A descriptor, or an open file."""


class Pieces(io.RawIOBase):
    """A read-only file made of parts of another file and of bytes of its own."""

    def __init__(self, source: Source, pieces: Sequence[Piece]) -> None:
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


def reader(source: Source) -> ReadAt:
    """Return a function that reads a descriptor or an open file at an offset."""
    if isinstance(source, int):
        return lambda offset, size: os.pread(source, size, offset)

    def read_at(offset: int, size: int) -> bytes:
        source.seek(offset)
        return source.read(size) or b""

    return read_at


def size_of(source: Source) -> int:
    """Return the size of a descriptor or an open file in bytes."""
    return os.fstat(source).st_size if isinstance(source, int) else source.seek(0, os.SEEK_END)


def repair(source: Source) -> Pieces | None:
    """Return the sound behind a correct header, or None for a file that needs none or is not known.

    Args:
        source: a descriptor or an open file, which must stay open while the result is read. The
            position of an open file (not of a descriptor) is moved, also where the result is None:
            seek to 0 before decoding it as it is.
    """
    read_at, size = reader(source), size_of(source)
    begin = _behind_tags(read_at, size)
    if not begin:
        pieces = _pieces(source, read_at, size)
        return None if pieces is None else Pieces(source, pieces)
    rest = Pieces(source, [(begin, size - begin)])
    pieces = _pieces(rest, reader(rest), size - begin)
    rest.seek(0)
    return rest if pieces is None else Pieces(rest, pieces)


def _pieces(source: Source, read_at: ReadAt, size: int) -> list[Piece] | None:
    """The pieces of a file that begins with its magic number; None where libsndfile reads it as it is."""
    head = read_at(0, 12)
    if is_wav(head):
        return wav_pieces(read_at, size)
    if head[:4] == b"OggS":
        stream = _ogg_flac(read_at, size)
        whole = Pieces(source, stream or [])
        pieces = flac_pieces(reader(whole), size_of(whole)) if stream else None
        return stream if stream is None or pieces is None else _cut(stream, pieces)
    if head[:4] in BY_MAGIC:
        return BY_MAGIC[head[:4]](read_at, size)
    frame = None if head[:4] in SELF_CONTAINED else first_frame(read_at, 0)
    return [(frame, size - frame)] if frame else None


def external_kind(source: Source) -> tuple[str, str] | None:
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


def is_lfs_pointer(source: Source) -> bool:
    """Whether it is what Git leaves in place of a large file that was not fetched."""
    return reader(source)(0, 64).startswith(b"version https://git-lfs.github.com/spec/")


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


def _ogg_flac(read_at: ReadAt, size: int) -> list[Piece] | None:
    """The native FLAC stream inside Ogg; None for any other codec."""
    pieces: list[Piece] = []
    serial, at = None, 0
    while at + OGG_HEADER.size <= size:
        magic, _, _, _, stream, _, _, count = OGG_HEADER.unpack(read_at(at, OGG_HEADER.size))
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
        at = begin + payload
    return pieces if serial is not None else None


def _cut(stream: list[Piece], pieces: list[Piece]) -> list[Piece]:
    """`stream` with the first bytes and the length of `pieces`, which are of the same stream in one part."""
    head, rest = pieces
    assert isinstance(head, bytes) and isinstance(rest, tuple)
    skip, left = len(head), sum(rest)
    found: list[Piece] = [head]
    for piece in stream:
        assert isinstance(piece, tuple)
        count = min(piece[1], left)
        found.append((piece[0] + min(skip, count), max(0, count - skip)))
        skip, left = max(0, skip - count), left - count
    return found


def _caf(read_at: ReadAt, size: int) -> list[Piece] | None:
    """A CAF file whose data chunk has a size; -1 stands for "up to the end", which libsndfile does not know."""
    at = 8
    for _ in range(MAX_CHUNKS):
        head = read_at(at, 12)
        if len(head) < 12:
            return None
        declared = int.from_bytes(head[4:], "big", signed=True)
        there = size - at - 12
        if head[:4] == b"data":
            if 0 < declared <= there or there <= 0:
                return None
            return [(0, at + 4), there.to_bytes(8, "big"), (at + 12, there)]
        at += 12 + max(0, declared)
    return None


def _au(read_at: ReadAt, size: int) -> list[Piece] | None:
    """An AU file with a data size of 0 gets the one that it has."""
    offset = int.from_bytes(read_at(4, 4), "big")
    if read_at(8, 4) != bytes(4) or not 24 <= offset < size:
        return None
    return [(0, 8), (size - offset).to_bytes(4, "big"), (12, size - 12)]


BY_MAGIC: Final = {b"fLaC": flac_pieces, b"caff": _caf, b".snd": _au}
"""First bytes of a file, and what finds its pieces."""
