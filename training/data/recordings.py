"""Recordings as int16 in memory, read once: an epoch then costs no decoding.

The corpora of a workstation are a few hundred megabytes as int16, so a dictionary is the right database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.util.errors import UserError
from training.data.corpora.clip import Clip
from training.data.progress import Progress

log = logging.getLogger(__name__)
RATE = 16000
LONGEST_S = 3600.0
MOST_UNREADABLE = 0.5
"""A larger share of unreadable files is no accident but a wrong folder, or a decoder that is missing."""
Int16 = NDArray[np.int16]


def read(path: Path) -> Int16:
    """Read an audio file as mono int16 samples `[n]` at 16 kHz. Raises `UserError` that names the file."""
    import soundfile

    from edge.audio import files

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError):
        samples, rate = np.zeros((0, 1), np.float32), RATE
    if not len(samples):
        # A damaged header, or a format that ffmpeg decodes; if neither, the error says what it is.
        return files.load(path, max_seconds=LONGEST_S, external=True)
    mono = samples.mean(axis=1)
    if rate != RATE:
        import soxr

        mono = soxr.resample(mono, rate, RATE)
    if not mono.size or not np.isfinite(mono).all():
        raise UserError(f"{path}: empty, or not all samples are numbers")
    samples_int: Int16 = np.clip(np.round(mono * 32768.0), -32768, 32767).astype(np.int16)
    return samples_int


class Sounds:
    """A cache of recordings by path, int16 `[n]` at 16 kHz; each file is read once."""

    def __init__(self) -> None:
        self._held: dict[Path, Int16] = {}

    def __getitem__(self, path: Path) -> Int16:
        """The samples of a file."""
        if path not in self._held:
            self._held[path] = read(path)
        return self._held[path]

    def load(self, paths: Iterable[Path], title: str, quiet: bool = False) -> list[Path]:
        """Read many files with a progress bar, and return those that cannot be read; each is named in the log.

        Raises `UserError` when most of them cannot be read.
        """
        wanted, bad = [path for path in paths if path not in self._held], []
        for path in Progress(wanted, title, "file", quiet=quiet):
            try:
                self._held[path] = read(path)
            except UserError as error:
                bad.append(path)
                last = error
        if len(bad) > MOST_UNREADABLE * len(wanted):
            raise UserError(f"{len(bad)} of {len(wanted)} files cannot be read; the last one: {last}")
        for path in bad:
            log.warning("left out, cannot be read as audio: %s", path)
        return bad

    def readable(self, clips: Sequence[Clip], title: str, quiet: bool = False) -> list[Clip]:
        """Read the recordings of clips into memory, and return the clips for which that worked.

        Raises `UserError` when most of them cannot be read.
        """
        bad = set(self.load([clip.path for clip in clips], title, quiet))
        return [clip for clip in clips if clip.path not in bad]
