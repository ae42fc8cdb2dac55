"""Finds the length of a FLAC stream whose header does not say it, or whose end was cut off.

An encoder that writes into a pipe, or loses power, leaves a length of 0. The last complete frame says how many samples
there are (RFC 9639, section 9.1).
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from edge.audio.riff import Piece, ReadAt

HEADER_BYTES: Final = 42
"""`fLaC`, the header of the first block, and its 34 bytes."""
LENGTH_MASK: Final = 2**36 - 1
MIN_WINDOW: Final = 1 << 17
MAX_WINDOW: Final = 1 << 22
MAX_FRAME_HEADER: Final = 16
BLOCK_SIZES: Final = {1: 192, **{n: 144 << n for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}


class Frame(NamedTuple):
    """A frame of the stream."""

    at: int
    """Offset of its first byte."""
    first: int
    """Number of its first sample."""
    samples: int
    """Number of its samples per channel."""


def flac_pieces(read_at: ReadAt, size: int) -> list[Piece] | None:
    """Return the pieces of a FLAC stream that says its length; None where it does so already, or has no frame."""
    head = bytearray(read_at(0, HEADER_BYTES))
    if len(head) < HEADER_BYTES or head[:4] != b"fLaC" or head[4] & 0x7F:
        return None
    packed = int.from_bytes(head[18:26], "big")
    end = _end(read_at, size, bytes(head))
    if end is None or packed & LENGTH_MASK == end[0]:
        return None
    samples, stop = end
    if packed & LENGTH_MASK and samples > packed & LENGTH_MASK:
        return None
    head[18:26] = (packed & ~LENGTH_MASK | samples).to_bytes(8, "big")
    # A checksum of other samples than these would be missed by the decoder.
    head[26:42] = bytes(16)
    return [bytes(head), (HEADER_BYTES, stop - HEADER_BYTES)]


def declared_and_found(read_at: ReadAt, size: int) -> tuple[int, int] | None:
    """Return the number of samples by the header, and up to the last complete frame; None where one is not known."""
    head = read_at(0, HEADER_BYTES)
    if len(head) < HEADER_BYTES or head[4] & 0x7F:
        return None
    declared = int.from_bytes(head[18:26], "big") & LENGTH_MASK
    end = _end(read_at, size, head) if declared else None
    return None if end is None else (declared, end[0])


def _end(read_at: ReadAt, size: int, head: bytes) -> tuple[int, int] | None:
    """The number of samples up to the last complete frame, and the offset behind it."""
    largest = int.from_bytes(head[15:18], "big") or MIN_WINDOW
    window = min(size - HEADER_BYTES, max(MIN_WINDOW, min(2 * largest, MAX_WINDOW)))
    begin = size - window
    data = read_at(begin, window)
    nominal = int.from_bytes(head[8:10], "big")
    at = len(data)
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        frame = _frame(data, at, nominal)
        if frame is None:
            continue
        if _crc(data[at:], 0x8005, 16) == 0:
            return frame.first + frame.samples, size
        # It was cut off: the stream ends before it.
        return (frame.first, begin + at) if frame.first else None
    return None


def _frame(data: bytes, at: int, nominal: int) -> Frame | None:
    """The frame that begins there; None if there is none. `nominal`: block size of a stream with equal blocks."""
    head = data[at : at + MAX_FRAME_HEADER]
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1 or not head[2] >> 4 or head[2] & 0x0F == 0x0F:
        return None
    number, after = _coded_number(head)
    code, rate = head[2] >> 4, head[2] & 0x0F
    extra = {6: 1, 7: 2}.get(code, 0)
    count = int.from_bytes(head[after : after + extra], "big") + 1 if extra else BLOCK_SIZES[code]
    after += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not after or after >= len(head) or _crc(head[: after + 1], 0x07, 8) != 0:
        return None
    return Frame(at, number if head[1] & 1 else number * nominal, count)


def _coded_number(head: bytes) -> tuple[int, int]:
    """The number of the frame, coded as in UTF-8 but up to 36 bits, and the offset behind it."""
    first = head[4]
    more = 0 if first < 0x80 else 7 - (first ^ 0xFF).bit_length()
    number = first if first < 0x80 else first & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    return number, 5 + more


@cache
def _crc_table(polynomial: int, bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return tuple(table)


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """The checksum; 0 for data with its own checksum behind it."""
    table, value, mask = _crc_table(polynomial, bits), 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (bits - 8) ^ byte]
    return value
