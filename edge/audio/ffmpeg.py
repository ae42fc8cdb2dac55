"""Decodes with ffmpeg what libsndfile does not read: AAC, WMA, WebM and their relatives.

Only for files that a user names on the own computer, by `classify` or as a playback: ffmpeg is a large program for
hostile files to attack, so the hub does not use it, nor an ear with a microphone.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

AU_HEADER: Final = struct.Struct(">4sIIIII")
FLOAT_BYTES: Final = 4
GUESSED: Final = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,"
    "ogg,tta,voc,w64,wav,wv"
)
"""Demuxers that may be guessed: none that opens other files or addresses."""


class DecodingError(Exception):
    """ffmpeg cannot decode the file; the text is its reason."""


def available() -> bool:
    """Whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


class FfmpegFile:
    """A file that ffmpeg decodes while it is read; the subset of `soundfile.SoundFile` that is used here.

    Args:
        source: a descriptor or an open file in memory.
        demuxer: ffmpeg's name of the container; empty: it may guess one of `GUESSED`.

    Raises `DecodingError` on creation and while it is read.
    """

    def __init__(self, source: int | IO[bytes], demuxer: str = "") -> None:
        self._own = -1 if isinstance(source, int) else _in_memory(source)
        handle = source if isinstance(source, int) else self._own
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  # Closed by `close`.
        # `-vn`: a cover picture is no sound. AU has a header of 24 bytes and needs no size in it, so that it streams.
        kind = ["-f", demuxer] if demuxer else ["-format_whitelist", GUESSED]
        # fmt: off
        command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file", *kind,
                   "-i", f"file:/proc/self/fd/{handle}",
                   "-map", "0:a:0", "-vn", "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        # fmt: on
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            pass_fds=[handle],
        )
        head = self._read(AU_HEADER.size)
        if len(head) < AU_HEADER.size:
            reason = self._reason()
            self.close()
            raise DecodingError(reason)
        _, offset, _, _, self.samplerate, self.channels = AU_HEADER.unpack(head)
        self._read(offset - AU_HEADER.size)
        self.frames = 0

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> NDArray[np.float32]:
        """Return up to so many frames as float32 `[frames, channels]`, full scale 1; none at the end."""
        width = FLOAT_BYTES * self.channels
        data = self._read(frames * width)
        data = data[: len(data) // width * width]
        if not data and self._process.wait(10) != 0:
            raise DecodingError(self._reason())
        return np.frombuffer(data, ">f4").reshape(-1, self.channels).astype(np.float32)

    def close(self) -> None:
        """End ffmpeg; may be called again."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._messages.close()
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def _reason(self) -> str:
        self._process.wait(10)
        self._messages.seek(0)
        lines = self._messages.read(100_000).decode(errors="replace").splitlines()
        text = lines[-1] if lines else "no sound in it"
        return " ".join(text.rsplit("] ", maxsplit=1)[-1].split())[:200]


def _in_memory(source: IO[bytes]) -> int:
    """A descriptor of the same bytes: ffmpeg has to seek."""
    handle = os.memfd_create("recording")
    source.seek(0)
    with os.fdopen(handle, "wb", closefd=False) as out:
        shutil.copyfileobj(source, out)
    return handle
