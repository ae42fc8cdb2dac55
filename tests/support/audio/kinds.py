"""Sixty kinds of audio file: containers, codecs, widths, rates, channels, and the faults that headers have.

    for kind in KINDS:
        kind.write(folder / kind.name)

Every file that can be decoded holds one second of a tone of 440 Hz at half of full scale.
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge.audio.files import RATE

HZ = 440.0
AMPLITUDE = 0.5
FFMPEG = shutil.which("ffmpeg")


@dataclass(frozen=True)
class Kind:
    """A kind of file. `refused`: words of the refusal, where it cannot be decoded; `external`: needs ffmpeg."""

    name: str
    write: Callable[[Path], None]
    external: bool = False
    refused: str = ""
    seconds: float = 1.0


def tone(rate: int, channels: int = 1, seconds: float = 1.0) -> np.ndarray:
    """Float64 `[n, channels]`, all channels alike."""
    one = AMPLITUDE * np.sin(2 * np.pi * HZ * np.arange(int(seconds * rate)) / rate)
    return np.repeat(one[:, None], channels, axis=1)


def check_tone(samples: np.ndarray) -> None:
    """Assert that int16 samples `[n]` at 16 kHz are one second of the tone, give or take what MP3, AAC and Opus pad."""
    assert samples.dtype == np.int16
    assert len(samples) == pytest.approx(RATE, abs=0.1 * RATE)
    middle = samples[4000:-4000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * RATE / len(middle) == pytest.approx(HZ, abs=3.0)
    assert np.sqrt(np.mean(middle**2)) / 32768 == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.06)


def plain(
    name: str, subtype: str, rate: int = 16_000, channels: int = 1, container: str | None = None
) -> Kind:
    """What libsndfile writes and reads."""

    def write(path: Path) -> None:
        soundfile.write(path, tone(rate, channels), rate, subtype=subtype, format=container)

    return Kind(name, write)


def encoded(container: str, subtype: str, rate: int = 16_000, channels: int = 1) -> bytes:
    """The bytes of such a file."""
    data = io.BytesIO()
    soundfile.write(data, tone(rate, channels), rate, format=container, subtype=subtype)
    return data.getvalue()


def chunk(name: bytes, payload: bytes, pad: bool = True, size: int | None = None) -> bytes:
    """A RIFF chunk; `size` is written in the place of the true one."""
    written = len(payload) if size is None else size
    return name + struct.pack("<I", written) + payload + b"\0" * (pad and len(payload) % 2)


def wav(
    *chunks: bytes, magic: bytes = b"RIFF", data_size: int | None = None, riff_size: int | None = None,
    rate: int = 16_000, width: int = 2, channels: int = 1, behind: bytes = b"", first: bytes = b"",
) -> bytes:  # fmt: skip
    """A PCM file with these chunks between `fmt ` and `data`, `first` before and `behind` after them."""
    numbers = np.rint(tone(rate, channels) * (2 ** (8 * width - 1) - 1)).astype("<i8")
    sound = numbers.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    align = width * channels
    layout = struct.pack("<HHIIHH", 1, channels, rate, rate * align, align, 8 * width)
    body = (
        b"WAVE"
        + first
        + chunk(b"fmt ", layout)
        + b"".join(chunks)
        + chunk(b"data", sound, size=data_size)
        + behind
    )
    return magic + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def ds64(data: int) -> bytes:
    """The chunk with the sizes of RF64 and BW64."""
    return chunk(b"ds64", struct.pack("<QQQI", data + 100, data, data // 2, 0))


def fixed(name: str, content: Callable[[], bytes], **more: object) -> Kind:
    """A file with these bytes."""
    return Kind(name, lambda path: path.write_bytes(content()) and None, **more)  # type: ignore[arg-type]


def by_ffmpeg(name: str, *options: str, rate: int = 44_100, channels: int = 2) -> Kind:
    """What phones and browsers record."""

    def write(path: Path) -> None:
        source = encoded("WAV", "PCM_16", rate, channels)
        command = [str(FFMPEG), "-y", "-v", "error", "-f", "wav", "-i", "pipe:0", *options, str(path)]
        subprocess.run(command, input=source, check=True, capture_output=True)

    return Kind(name, write, external=True)


def ogg_flac(
    rate: int = 16_000, channels: int = 1, subtype: str = "PCM_16", known_length: bool = False
) -> bytes:
    """FLAC in Ogg pages of at most 4 KB, made of a native stream."""
    native = bytearray(encoded("FLAC", subtype, rate, channels))
    if not known_length:
        native[21] &= 0xF0
        native[22:26] = bytes(4)
    at, last = 4, False
    while not last:
        last = bool(native[at] & 0x80)
        at += 4 + int.from_bytes(native[at + 1 : at + 4], "big")
    head = b"\x7fFLAC\x01\x00" + struct.pack(">H", 1) + bytes(native[:42])
    pages = [head, bytes(native[42:at]), *(bytes(native[p : p + 4000]) for p in range(at, len(native), 4000))]
    out = b""
    for number, payload in enumerate(pages):
        lacing = bytes([255] * (len(payload) // 255) + [len(payload) % 255])
        position = rate if number == len(pages) - 1 else 0
        kind = 2 if number == 0 else 4 if number == len(pages) - 1 else 0
        page = (
            struct.pack("<4sBBqIIIB", b"OggS", 0, kind, position, 7, number, 0, len(lacing))
            + lacing
            + payload
        )
        out += page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]
    return out


def _ogg_crc(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        value &= 0xFFFFFFFF
    return value


def id3(size: int, footer: bool = False) -> bytes:
    """An ID3 tag of version 2.4 with so many bytes of padding in it."""
    parts = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return (
        b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + parts + bytes(size) + (b"3DI" + bytes(7)) * footer
    )


def mp3() -> bytes:
    return encoded("MP3", "MPEG_LAYER_III", 44_100, 2)


ORDINARY = [
    plain("u8.wav", "PCM_U8"),
    plain("s16.wav", "PCM_16"),
    plain("s16-8k.wav", "PCM_16", 8_000),
    plain("s16-11k.wav", "PCM_16", 11_025),
    plain("s16-44k-stereo.wav", "PCM_16", 44_100, 2),
    plain("s24-48k-six.wav", "PCM_24", 48_000, 6),
    plain("s24-96k-eight.wav", "PCM_24", 96_000, 8),
    plain("s32.wav", "PCM_32", 48_000),
    plain("float.wav", "FLOAT", 22_050),
    plain("double.wav", "DOUBLE", 8_000),
    plain("alaw.wav", "ALAW", 8_000),
    plain("ulaw.wav", "ULAW", 8_000),
    plain("ima-adpcm.wav", "IMA_ADPCM", 16_000),
    plain("ms-adpcm.wav", "MS_ADPCM", 22_050),
    plain("gsm.wav", "GSM610", 8_000),
    plain("extensible.wav", "PCM_24", 48_000, 4, "WAVEX"),
    plain("s16.rf64", "PCM_16", 16_000, 1, "RF64"),
    plain("float.rf64", "FLOAT", 48_000, 2, "RF64"),
    plain("s24.w64", "PCM_24", 48_000, 2),
    plain("s16.aiff", "PCM_16", 44_100, 2),
    plain("s24.aif", "PCM_24", 48_000, 1, "AIFF"),
    plain("float.aiff", "FLOAT"),
    plain("s16.au", "PCM_16"),
    plain("ulaw.au", "ULAW", 8_000),
    plain("s16.caf", "PCM_16", 44_100),
    plain("alac.caf", "ALAC_16", 44_100, 2),
    plain("s16.voc", "PCM_16"),
    plain("s16.nist", "PCM_16", 16_000, 1, "NIST"),
    plain("s16.flac", "PCM_16"),
    plain("s24-192k.flac", "PCM_24", 192_000, 2),
    plain("vorbis.ogg", "VORBIS", 44_100),
    plain("vorbis-stereo.oga", "VORBIS", 48_000, 2, "OGG"),
    plain("opus.opus", "OPUS", 48_000, 2, "OGG"),
    plain("mono.mp3", "MPEG_LAYER_III", 16_000),
    plain("stereo.mp3", "MPEG_LAYER_III", 44_100, 2),
    fixed("s16.raw", lambda: np.rint(tone(16_000)[:, 0] * 32767).astype("<i2").tobytes()),
]
FAULTY = [
    fixed("zero-data.wav", lambda: wav(data_size=0)),
    fixed("zero-sizes.wav", lambda: wav(data_size=0, riff_size=0)),
    fixed(
        "zero-sizes-24-stereo.wav", lambda: wav(data_size=0, riff_size=0, width=3, channels=2, rate=48_000)
    ),
    fixed("zero-data-behind-a-list.wav", lambda: wav(chunk(b"LIST", b"INFOISFT\4\0\0\0abc\0"), data_size=0)),
    fixed("endless.wav", lambda: wav(data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF)),
    fixed("too-large.wav", lambda: wav(data_size=9_000_000)),
    fixed("riff-size.wav", lambda: wav(riff_size=12)),
    fixed("unpadded.wav", lambda: wav(chunk(b"note", b"odd", pad=False))),
    fixed("unpadded-first.wav", lambda: wav(first=chunk(b"bext", b"x" * 603, pad=False))),
    fixed(
        "unpadded-twice.wav",
        lambda: wav(chunk(b"note", b"odd", pad=False), chunk(b"note", b"more!", pad=False)),
    ),
    fixed("padded.wav", lambda: wav(chunk(b"note", b"odd"))),
    fixed(
        "bw64.wav", lambda: wav(first=ds64(32_000), magic=b"BW64", data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF)
    ),
    fixed("bw64-zero.wav", lambda: wav(first=ds64(0), magic=b"BW64", data_size=0, riff_size=0)),
    fixed("bw64-plain-size.wav", lambda: wav(first=ds64(0), magic=b"BW64")),
    fixed("rf64-no-size.wav", lambda: wav(first=ds64(0), magic=b"RF64", data_size=0, riff_size=0xFFFFFFFF)),
    fixed("id3.wav", lambda: id3(300) + wav()),
    fixed("list-behind.wav", lambda: wav(behind=chunk(b"LIST", b"INFOISFT\4\0\0\0abc\0"))),
    fixed("zeros-behind-the-tag.mp3", lambda: id3(300) + bytes(3000) + mp3()),
    fixed("zeros-first.mp3", lambda: bytes(2000) + mp3()),
    fixed("two-tags.mp3", lambda: id3(100, footer=True) + id3(5000) + bytes(17) + mp3()),
    fixed("id3.flac", lambda: id3(1000) + bytes(500) + encoded("FLAC", "PCM_16", 44_100, 2)),
    fixed("flac.oga", ogg_flac),
    fixed("flac-known.ogg", lambda: ogg_flac(44_100, 2, known_length=True)),
    fixed("flac-24.oga", lambda: ogg_flac(48_000, 2, "PCM_24")),
]
EXTERNAL = [
    by_ffmpeg("phone.m4a", "-c:a", "aac"),
    by_ffmpeg("streamable.m4a", "-c:a", "aac", "-movflags", "+faststart"),
    by_ffmpeg("lossless.m4a", "-c:a", "alac"),
    by_ffmpeg("video.mp4", "-c:a", "aac", channels=1),
    by_ffmpeg("old-phone.3gp", "-c:a", "aac", rate=16_000, channels=1),
    by_ffmpeg("radio.aac", "-c:a", "aac", "-f", "adts"),
    by_ffmpeg("browser.webm", "-c:a", "libopus", rate=48_000),
    by_ffmpeg("archive.mka", "-c:a", "flac"),
    by_ffmpeg("windows.wma", "-c:a", "wmav2"),
    by_ffmpeg("camera.mov", "-c:a", "aac"),
    by_ffmpeg("fragments.mp4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    by_ffmpeg("live.webm", "-c:a", "libopus", "-live", "1", rate=48_000),
    by_ffmpeg("camera.avi", "-c:a", "mp3"),
    by_ffmpeg("television.ts", "-c:a", "aac", "-f", "mpegts"),
    by_ffmpeg("archive.wv", "-c:a", "wavpack"),
    by_ffmpeg("film.ac3", "-c:a", "ac3", rate=48_000),
    by_ffmpeg("telephone.wav", "-c:a", "g722", rate=16_000, channels=1),
]
REFUSED = [
    fixed("text.wav", lambda: b"These are words and no sound.\n" * 40, refused="not a supported audio file"),
    fixed(
        "page.mp3",
        lambda: b"<!DOCTYPE html><html><body>404</body></html>" * 9,
        refused="not a supported audio",
    ),
    fixed("empty.wav", lambda: b"", refused="is empty"),
    fixed("header-only.wav", lambda: wav()[:44], refused="contains no samples"),
    fixed(
        "no-sound-but-a-list.wav",
        lambda: wav()[:40] + bytes(4) + chunk(b"LIST", b"INFO"),
        refused="no samples",
    ),
    fixed("half-a-header.wav", lambda: wav()[:20], refused="not a supported audio file"),
    fixed(
        "cut.m4a", lambda: b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(400), external=True, refused="cannot decode"
    ),
    fixed("cut.webm", lambda: b"\x1aE\xdf\xa3" + bytes(400), external=True, refused="cannot decode"),
    fixed("zeros.mp3", lambda: bytes(50_000), refused="not a supported audio file"),
]
KINDS = ORDINARY + FAULTY + EXTERNAL + REFUSED
