"""Finds the first frame of an MP3 file behind what is no sound: foreign tags, the end of a broadcast, garbage."""

from __future__ import annotations

from typing import Final

from edge.audio.riff import ReadAt

SEARCH_LIMIT: Final = 1 << 17
FRAMES: Final = 3
"""So many frames in a row are no accident."""
HEADER_BYTES: Final = 4
KBPS: Final = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""Bit rates of layer III: of MPEG 2 and 2.5, of MPEG 1."""
RATES: Final = (44_100, 48_000, 32_000)


def first_frame(read_at: ReadAt, begin: int) -> int | None:
    """Return the offset of the first frame of layer III at or behind an offset; None if there is none near."""
    data = read_at(begin, SEARCH_LIMIT)
    at = -1
    while (at := data.find(b"\xff", at + 1)) >= 0:
        place = at
        for _ in range(FRAMES):
            length = _frame_bytes(data[place : place + HEADER_BYTES])
            # Of one stream: version and sample rate do not change.
            if (
                not length
                or (data[place + 1] ^ data[at + 1]) & 0x18
                or (data[place + 2] ^ data[at + 2]) & 0x0C
            ):
                break
            place += length
        else:
            return begin + at
    return None


def _frame_bytes(head: bytes) -> int:
    """The length of a frame with this header; 0 if it is none."""
    if len(head) < HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, kbps, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbps in (0, 15) or rate == 3:
        return 0
    first = version == 3
    hz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if first else 72) * 1000 * KBPS[first][kbps] // hz + (head[2] >> 1 & 1)
