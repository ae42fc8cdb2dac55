"""Audio files whose headers are wrong in ways that libsndfile does not read: one second of `kinds.tone` each."""

from __future__ import annotations

import struct

import numpy as np

from tests.support.audio.kinds import Kind, chunk, ds64, encoded, fixed, id3, mp3, ogg_flac, tone, wav

PCM = np.rint(tone(16_000)[:, 0] * 32767).astype("<i2")
DATA = chunk(b"data", PCM.tobytes())
WIDE = np.rint(tone(16_000)[:, 0] * (2**23 - 1)).astype("<i4")


def layout(
    tag: int = 1, rate: int = 16_000, align: int = 2, bits: int = 16, more: bytes = b"", per_second: int = 0
) -> bytes:
    """A `fmt ` chunk of one channel."""
    numbers = struct.pack("<HHIIHH", tag, 1, rate, per_second or rate * align, align, bits)
    return chunk(b"fmt ", numbers + more)


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None) -> bytes:
    """A file of these chunks."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def rifx(size: int) -> bytes:
    """A file with numbers in big-endian order, with this size in its data chunk."""
    head = struct.pack(">4sI4s4sIHHIIHH", b"RIFX", size, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    return head + b"data" + struct.pack(">I", size) + PCM.astype(">i2").tobytes()


def changed(container: str, magic: bytes, offset: int, value: bytes) -> bytes:
    """A file of libsndfile with other bytes at an offset from where `magic` stands in it."""
    data = bytearray(encoded(container, "PCM_16"))
    at = data.find(magic) + offset
    data[at : at + len(value)] = value
    return bytes(data)


def unknown_length(data: bytes) -> bytes:
    """A FLAC stream as an encoder writes it into a pipe."""
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


def flac() -> bytes:
    return encoded("FLAC", "PCM_16")


ODD_HEADERS: list[Kind] = [
    fixed("big-endian.wav", lambda: rifx(len(DATA) - 8)),
    fixed("big-endian-zero.wav", lambda: rifx(0)),
    fixed("outdated-size.wav", lambda: wav(data_size=4000, rate=48_000)),
    fixed("outdated-size-odd.wav", lambda: wav(data_size=3001, rate=48_000)),
    fixed(
        "list-with-a-wrong-size.wav", lambda: riff(layout(), chunk(b"LIST", b"INFOIS", size=5_000_000), DATA)
    ),
    fixed("layout-behind.wav", lambda: riff(DATA, layout())),
    fixed("two-layouts.wav", lambda: riff(layout(), layout(), DATA)),
    fixed(
        "two-data-chunks.wav",
        lambda: riff(layout(), *(chunk(b"data", part.tobytes()) for part in (PCM[:9000], PCM[9000:]))),
    ),
    fixed("empty-data-chunk-first.wav", lambda: riff(layout(), chunk(b"data", b""), DATA)),
    fixed("no-bits.wav", lambda: riff(layout(bits=0), DATA)),
    fixed("short-layout.wav", lambda: riff(chunk(b"fmt ", layout()[8:22]), DATA)),
    fixed("extensible-without-extension.wav", lambda: riff(layout(0xFFFE), DATA)),
    fixed(
        "extensible-without-codec.wav",
        lambda: riff(layout(0xFFFE, more=struct.pack("<HHI", 22, 16, 4) + bytes(16)), DATA),
    ),
    # `arecord -f S24_LE`: in the lower bits.
    fixed("24-in-32-lower.wav", lambda: riff(layout(align=4, bits=24), chunk(b"data", WIDE.tobytes()))),
    fixed(
        "16-in-32-lower.wav",
        lambda: riff(layout(align=4, bits=24), chunk(b"data", (PCM.astype("<i4") << 8).tobytes())),
    ),
    fixed(
        "24-in-32-upper.wav", lambda: riff(layout(align=4, bits=24), chunk(b"data", (WIDE << 8).tobytes()))
    ),
    fixed("8-in-16.wav", lambda: riff(layout(align=2, bits=8), DATA)),
    fixed(
        "rf64-without-ds64.wav",
        lambda: riff(layout(), b"data\xff\xff\xff\xff" + PCM.tobytes(), magic=b"RF64"),
    ),
    fixed(
        "bw64-ds64-late.wav",
        lambda: riff(layout(), ds64(32_000), b"data\xff\xff\xff\xff" + PCM.tobytes(), magic=b"BW64"),
    ),
    fixed("zeros-first.wav", lambda: bytes(512) + wav()),
    fixed("tag-first-zero-size.wav", lambda: id3(200) + wav(data_size=0)),
    fixed("tag-behind.wav", lambda: wav(behind=b"TAG" + bytes(125))),
    fixed("garbage-first.mp3", lambda: b"garbage!" * 40 + mp3()),
    fixed(
        "ape-tag-first.mp3",
        lambda: b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0xA0000000) + bytes(8) + mp3(),
    ),
    fixed("tag-behind.mp3", lambda: mp3() + b"TAG" + bytes(125)),
    fixed("piped.flac", lambda: unknown_length(flac())),
    fixed("piped-24-stereo.flac", lambda: unknown_length(encoded("FLAC", "PCM_24", 48_000, 2))),
    fixed("tag-first-piped.flac", lambda: id3(300) + unknown_length(flac())),
    fixed("zero-size.au", lambda: changed("AU", b".snd", 8, bytes(4))),
    fixed("endless.au", lambda: changed("AU", b".snd", 8, b"\xff" * 4)),
    fixed("endless.caf", lambda: changed("CAF", b"data", 4, b"\xff" * 8)),
    fixed("zero-size.caf", lambda: changed("CAF", b"data", 4, bytes(8))),
    fixed("zero-size.aiff", lambda: changed("AIFF", b"SSND", 4, bytes(4))),
    fixed("no-frames.aiff", lambda: changed("AIFF", b"COMM", 10, bytes(4))),
    fixed("zero-size.w64", lambda: changed("W64", b"data", 16, bytes(8))),
]
CUT_OFF: list[Kind] = [
    fixed("power-lost.wav", lambda: wav()[:20_001]),
    fixed("power-lost-zero.wav", lambda: wav(data_size=0)[:20_001]),
    fixed("power-lost.flac", lambda: flac()[:-3000]),
    fixed("power-lost-piped.flac", lambda: unknown_length(flac())[:-3000]),
    fixed("power-lost-flac.oga", lambda: ogg_flac()[:-3000]),
    fixed("power-lost.mp3", lambda: mp3()[:-1000]),
    fixed("power-lost.voc", lambda: encoded("VOC", "PCM_16")[:20_000]),
]
"""The recording ended in the middle of a second: what is there is read."""
