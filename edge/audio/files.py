"""Decodes audio files to the format of the device: int16, mono, 16 kHz, part by part.

libsndfile decodes (WAV, FLAC, Opus, Ogg, MP3, AIFF and more), soxr resamples; both are imported only here and only when
a file is read. Files are streamed: an hour takes no more memory than a second. `.raw` is read as headerless int16,
little-endian, mono, 16 kHz. What else people have (M4A, AAC, WebM, WMA, 3GP) is decoded by ffmpeg where it is
installed, and only where the caller allows that.

    for samples in read("speech.flac"):  # int16 [n]
        ...
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.audio import containers, cut_off
from edge.audio.channels import ChannelMixer
from edge.audio.walk import files_below
from edge.util.errors import UserError, reason

RATE: Final = 16_000
SUFFIXES: Final = frozenset(
    {
        *(
            ".wav",
            ".flac",
            ".opus",
            ".ogg",
            ".oga",
            ".mp3",
            ".aiff",
            ".aif",
            ".aifc",
            ".au",
            ".caf",
            ".w64",
            ".raw",
        ),
        *(".bwf", ".rf64", ".sph", ".voc", ".mp2"),
    }
)
"""Suffixes that are searched for in folders; a file given by name is tried whatever its suffix."""
EXTERNAL_SUFFIXES: Final = frozenset(
    {
        *(".m4a", ".mp4", ".m4b", ".mov", ".aac", ".webm", ".mka", ".mkv", ".3gp", ".3g2", ".wma", ".amr"),
        *(".ac3", ".ape", ".avi", ".spx", ".tta", ".wv"),
    }
)
"""Suffixes of files that need ffmpeg."""
CHUNK: Final = 1 << 16
MAX_CHANNELS: Final = 64
MAX_PEAK: Final = 8.0
"""Float samples beyond this (18 dB above full scale) are not scaled to -1..1."""
MAX_PIPE_BYTES: Final = 512 << 20

Samples = NDArray[np.int16]


class AudioFileError(UserError):
    """A file cannot be read as audio; the text names the file, the reason and the remedy."""


class AudioFile:
    """An open audio file; iterating yields int16 arrays `[n]` of varying length, mono, 16 kHz.

    Args:
        path: the file; `-` is standard input.
        external: whether ffmpeg may decode what libsndfile cannot. Never for files of others: it is a large program.

    Raises `AudioFileError` on creation (unreadable, not audio, empty) and while it is read (damaged, NaN).
    """

    def __init__(self, path: Path | str, *, external: bool = False) -> None:
        self.name = "standard input" if str(path) == "-" else str(path)
        sf = _soundfile(self.name)
        self._errors: tuple[type[Exception], ...] = (sf.LibsndfileError, RuntimeError, OSError, ValueError)
        handle = _standard_input() if str(path) == "-" else _regular(Path(path))
        self.share = cut_off.share(handle)
        """The part of the sound that is there, 0 to 1; below 1 for a file that is cut off."""
        try:
            self._file = self._open(sf, handle, external, raw=Path(path).suffix.lower() == ".raw")
        except AudioFileError:
            _close(handle)
            raise
        self._handle: int | IO[bytes] | None = handle
        self.rate = int(self._file.samplerate)
        """Sample rate of the file in Hz."""
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        """Samples per channel according to the header; a damaged file has fewer, and a stream may not know."""
        if not 0 < self.channels <= MAX_CHANNELS or not 100 <= self.rate <= 1_536_000:
            self.close()
            raise AudioFileError(
                f"{self.name}: {self.channels} channels at {self.rate} Hz are not supported "
                f"(1 to {MAX_CHANNELS} channels, 100 Hz to 1.5 MHz); convert it first"
            )

    def _open(self, sf: Any, handle: int | IO[bytes], external: bool, *, raw: bool) -> Any:
        """The decoder of an open file. Raises `AudioFileError`."""
        if raw:
            layout = {"channels": 1, "format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}
            return sf.SoundFile(handle, closefd=False, samplerate=RATE, **layout)
        kind = containers.external_kind(handle)
        if kind is not None:
            return self._open_external(handle, *kind, allowed=external)
        source = containers.repair(handle) or _from_start(handle)
        try:
            return sf.SoundFile(source, closefd=False)
        except self._errors as error:
            if external and (decoded := self._try_external(handle)) is not None:
                return decoded
            if containers.is_lfs_pointer(handle):
                raise AudioFileError(
                    f"{self.name}: only points to the recording (Git LFS); fetch that: git lfs pull"
                ) from None
            raise AudioFileError(
                f"{self.name}: not a supported audio file ({_reason(error)}); "
                f"convert it to WAV, FLAC, Opus or MP3, or record it again{_ffmpeg_hint(external)}"
            ) from None

    def _open_external(self, handle: int | IO[bytes], name: str, demuxer: str, *, allowed: bool) -> Any:
        from edge.audio import ffmpeg

        if not allowed:
            raise AudioFileError(
                f"{self.name}: {name} is not decoded here; convert it to WAV, FLAC, Opus or MP3"
            )
        if not ffmpeg.available():
            raise AudioFileError(
                f"{self.name}: {name} is decoded by ffmpeg, which is not installed: apt install ffmpeg, "
                "or convert it to WAV, FLAC, Opus or MP3"
            )
        self._errors += (ffmpeg.DecodingError,)
        try:
            return ffmpeg.FfmpegFile(handle, demuxer)
        except ffmpeg.DecodingError as error:
            raise AudioFileError(
                f"{self.name}: ffmpeg cannot decode this {name} ({error}); convert it to WAV"
            ) from None

    def _try_external(self, handle: int | IO[bytes]) -> Any:
        """The decoder of a file that libsndfile does not know; None where ffmpeg does not know it either."""
        from edge.audio import ffmpeg

        if not ffmpeg.available():
            return None
        try:
            decoded = ffmpeg.FfmpegFile(handle)
        except ffmpeg.DecodingError:
            return None
        self._errors += (ffmpeg.DecodingError,)
        return decoded

    @property
    def seconds(self) -> float | None:
        """Length in seconds according to the header; None where it is unknown."""
        return self.frames / self.rate if 0 < self.frames < 2**62 else None

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        self._file.close()
        handle, self._handle = self._handle, None
        if handle is not None:
            _close(handle)

    def __iter__(self) -> Iterator[Samples]:
        resampler = self._resampler()
        empty = True
        for mono in self._mono():
            empty = False
            yield from _nonempty(_to_int16(resampler.resample_chunk(mono) if resampler else mono))
        if empty:
            raise AudioFileError(f"{self.name}: contains no samples; record it again")
        if resampler is not None:
            yield from _nonempty(_to_int16(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))

    def _mono(self) -> Iterator[NDArray[np.float32]]:
        size = max(1, CHUNK // self.channels)
        mixer = ChannelMixer(self.channels, "mean", self.rate)
        while True:
            try:
                block = self._file.read(size, dtype="float32", always_2d=True)
            except self._errors as error:
                raise AudioFileError(
                    f"{self.name}: damaged or cut off ({_reason(error)}); export or record it again"
                ) from None
            if not len(block):
                return
            peak = np.abs(block).max()
            if not np.isfinite(peak):
                raise AudioFileError(f"{self.name}: contains NaN or infinity; repair or export it again")
            if peak > MAX_PEAK:
                raise AudioFileError(
                    f"{self.name}: a sample of {peak:.4g} where full scale is 1; export it as 16-bit audio"
                )
            yield mixer.mix(block)

    def _resampler(self) -> Any:
        if self.rate == RATE:
            return None
        try:
            import soxr
        except ImportError:
            self.close()
            raise AudioFileError(
                f"{self.name}: has {self.rate} Hz, and resampling to {RATE} Hz needs soxr: pip install soxr"
            ) from None
        return soxr.ResampleStream(self.rate, RATE, 1, dtype="float32")


def read(path: Path | str, *, external: bool = False) -> Iterator[Samples]:
    """Stream a file (`-`: standard input) as int16 arrays `[n]`, mono, 16 kHz.

    `external`: whether ffmpeg may decode what libsndfile cannot; never for files of others. Raises
    `AudioFileError` while it is iterated: at the first array, or later where the file is damaged.
    """
    with AudioFile(path, external=external) as file:
        yield from file


def load(path: Path | str, max_seconds: float = 600.0, *, external: bool = False) -> Samples:
    """Read a short file as one int16 array `[n]`, mono, 16 kHz. Raises `AudioFileError`, also when it is longer."""
    limit, total, parts = int(max_seconds * RATE), 0, []
    for part in read(path, external=external):
        total += part.size
        if total > limit:
            raise AudioFileError(f"{path}: longer than {max_seconds:.0f} s; cut it first")
        parts.append(part)
    if not total:
        raise AudioFileError(f"{path}: too short: no sample is left at {RATE} Hz")
    return np.concatenate(parts)


def find(folder: Path, *, external: bool = False) -> list[Path]:
    """List the audio files below a folder by suffix, sorted by path, without hidden ones; linked folders are followed.

    `external` adds those that need ffmpeg. Raises `OSError` where the folder cannot be read.
    """
    suffixes = SUFFIXES | EXTERNAL_SUFFIXES if external else SUFFIXES
    return sorted(path for path in files_below(folder) if path.suffix.lower() in suffixes)


def _ffmpeg_hint(external: bool) -> str:
    from edge.audio import ffmpeg

    missing = external and not ffmpeg.available()
    return "; ffmpeg, which is not installed, reads more kinds: apt install ffmpeg" if missing else ""


def _to_int16(samples: NDArray[np.float32]) -> Samples:
    # The inverse of libsndfile's int16 -> float (division by 32768), so that 16-bit files pass through unchanged.
    scaled = np.rint(samples * np.float32(32768.0))
    result: Samples = np.clip(scaled, -32768.0, 32767.0).astype(np.int16)
    return result


def _nonempty(samples: Samples) -> Iterator[Samples]:
    if samples.size:
        yield samples


def _soundfile(name: str) -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise AudioFileError(
            f"{name}: reading audio files needs soundfile ({error}): pip install soundfile"
        ) from None
    return soundfile


def _reason(error: Exception) -> str:
    # libsndfile's own message comes last: `Error opening '/x.wav': Format not recognised.`
    return " ".join(str(error).rsplit(": ", maxsplit=1)[-1].rstrip(".").split()) or type(error).__name__


def _regular(path: Path) -> int:
    """Open a file for reading; a descriptor, so that no library has to handle unusual bytes in its name."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise AudioFileError(f"{path}: no such file") from None
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be opened: {reason(error)}") from None
    status = os.fstat(handle)
    problem = ""
    if stat.S_ISDIR(status.st_mode):
        problem = "is a folder; name the files in it"
    elif not stat.S_ISREG(status.st_mode):
        problem = "is not a regular file; `-` reads standard input"
    elif status.st_size == 0:
        problem = "is empty (0 bytes); record it again"
    if problem:
        os.close(handle)
        raise AudioFileError(f"{path}: {problem}")
    return handle


def _standard_input() -> int | IO[bytes]:
    # mypy assumes that it is never None; `-` with standard input closed leaves None.
    if getattr(sys, "stdin", None) is None:
        raise AudioFileError("standard input: is closed; pipe a file into it, as in `cat x.wav | … -`")
    if sys.stdin.isatty():
        raise AudioFileError("standard input: is a terminal; pipe a file into it, as in `cat x.wav | … -`")
    try:
        handle = sys.stdin.fileno()
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.dup(handle)
    except (OSError, io.UnsupportedOperation):
        pass
    # libsndfile has to seek; what comes through a pipe is kept in memory, never on disk.
    data = sys.stdin.buffer.read(MAX_PIPE_BYTES + 1)
    if not data:
        raise AudioFileError("standard input: is empty (0 bytes)")
    if len(data) > MAX_PIPE_BYTES:
        raise AudioFileError(
            f"standard input: more than {MAX_PIPE_BYTES >> 20} MiB; name the file instead of piping it"
        )
    return io.BytesIO(data)


def _from_start(handle: int | IO[bytes]) -> int | IO[bytes]:
    if not isinstance(handle, int):
        handle.seek(0)
    return handle


def _close(handle: int | IO[bytes]) -> None:
    if isinstance(handle, int):
        os.close(handle)
    else:
        handle.close()
