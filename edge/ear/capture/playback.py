"""Playback: a folder of recordings that takes the place of the microphone.

Real time times `audio.speed`, paced by monotonic time. Between recordings there is the faint noise of a good
microphone, not digital silence: zeros are what a broken device delivers, and voice activity detectors are not made for
them.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from edge.audio import files as audiofile
from edge.audio.files import EXTERNAL_SUFFIXES, AudioFileError
from edge.audio.segmenter import BLOCK, Samples
from edge.audio.walk import files_below
from edge.config.settings import Audio
from edge.ear.capture.source import BLOCK_S, Block, SourceEndedError, SourceLostError
from edge.util.errors import UserError, reason

log = logging.getLogger(__name__)

LEAD_S: Final = 0.4
"""Seconds of noise before the first recording, so that its onset has a pre-roll."""
NOISE_RMS: Final = 4.0
"""RMS of the noise in int16 steps: -78 dBFS."""
LATE_S: Final = 1.0
"""Seconds of delay after which the schedule starts anew instead of catching up."""
NAMED: Final = 3
"""Files that a message names; the others are counted."""


class PlaybackSource:
    """Plays all audio files below a folder in the order of their paths. Raises `UserError` when there are none.

    They are the user's own, so ffmpeg may decode what libsndfile cannot, as for `roomtone classify`.
    """

    waits = True
    format = None
    overruns = 0

    def __init__(self, audio: Audio, stopped: threading.Event) -> None:
        self._folder = Path(audio.playback_dir)
        self._files = _recordings(self._folder)
        _require_one(self._folder, self._files)
        self._gap = audio.gap_s
        self._loop = audio.loop
        self._speed = audio.speed
        self._stopped = stopped
        self._reported: set[Path] = set()
        self._blocks: Iterator[Samples] | None = None
        self._lost: SourceLostError | None = None
        """To be raised by the next `read`: the blocks before it come first."""
        self._due = 0.0
        self._noise = _faint_noise(64 * BLOCK)
        self._noise.setflags(write=False)
        self._noise_at = 0

    @property
    def name(self) -> str:
        """The folder and the number of its recordings."""
        return f"playback of {self._folder} ({len(self._files)} recordings)"

    def open(self) -> None:
        """Start the playback, or continue where a mute has interrupted it."""
        self._lost = None
        if self._blocks is None:
            self._blocks = self._play()
        self._due = time.monotonic()

    def close(self) -> None:
        """Keep the position in the folder."""

    def read(self, count: int) -> list[Block]:
        """Return the next blocks when the last of them was played. Raises `SourceLostError` or `SourceEndedError`."""
        if self._lost is not None:
            lost, self._lost = self._lost, None
            raise lost
        if self._blocks is None:
            raise SourceLostError("the playback is not open")
        now = time.monotonic()
        if now - self._due > LATE_S:
            self._due = now
        blocks: list[Block] = []
        try:
            for samples in itertools.islice(self._blocks, count):
                blocks.append(Block(samples, self._due))
                self._due += BLOCK_S / self._speed
        except SourceLostError as error:
            # A generator that has raised is finished: without a new one the next read would look like the end.
            self._blocks = None
            if not blocks:
                raise
            self._lost = error
        if not blocks:
            raise SourceEndedError
        # A microphone gives a block when its last sample has been played.
        left = self._due - time.monotonic()
        if left > 0:
            self._stopped.wait(left)
        return blocks

    def _play(self) -> Iterator[Samples]:
        yield from self._silence(LEAD_S)
        while True:
            played = 0
            for path in self._files:
                before = played
                try:
                    for block in self._in_blocks(path):
                        played += 1
                        yield block
                except AudioFileError as error:
                    if path not in self._reported:
                        self._reported.add(path)
                        log.warning("[recording_skipped] skipped: %s", error)
                if played > before:
                    yield from self._silence(self._gap)
            if not played:
                raise SourceLostError(
                    f"none of the {len(self._files)} recordings in {self._folder} can be read; see above"
                )
            if not self._loop:
                return

    def _in_blocks(self, path: Path) -> Iterator[Samples]:
        rest = np.zeros(0, np.int16)
        for part in audiofile.read(path, external=True):
            rest = np.concatenate((rest, part))
            whole = rest.size // BLOCK * BLOCK
            yield from rest[:whole].reshape(-1, BLOCK)
            rest = rest[whole:]
        if rest.size:
            # Noise fills the block in which the recording ends.
            yield np.concatenate((rest, self._faint()[rest.size :]))

    def _silence(self, seconds: float) -> Iterator[Samples]:
        for _ in range(round(seconds / BLOCK_S)):
            yield self._faint()

    def _faint(self) -> Samples:
        at = self._noise_at
        self._noise_at = (at + BLOCK) % self._noise.size
        return self._noise[at : at + BLOCK]


def _require_one(folder: Path, files: list[Path]) -> None:
    """Raises `UserError` when not a single recording can be opened; a later one that fails is only skipped."""
    for path in files:
        try:
            audiofile.AudioFile(str(path), external=True).close()
        except AudioFileError as error:
            last = error
        else:
            return
    raise UserError(f"none of the {len(files)} recordings in {folder} can be read; the last one: {last}")


def _faint_noise(size: int) -> Samples:
    """Int16 `[size]`, the same each time, near to a normal distribution: sums of four random bytes.

    Without `np.random`, which takes one or two megabytes.
    """
    octets = np.frombuffer(random.Random(16_000).randbytes(4 * size), np.uint8).reshape(4, size)
    sums = octets.sum(axis=0, dtype=np.int32) - 2 * 255
    noise: Samples = np.rint(sums * (NOISE_RMS / math.sqrt(4 * (256**2 - 1) / 12))).astype(np.int16)
    return noise


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `audio.playback_dir` names the folder to play")
    try:
        found = audiofile.find(folder, external=True)
        others = [] if found else sorted(files_below(folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {reason(error)}") from None
    if not found:
        known = ", ".join(sorted(audiofile.SUFFIXES))
        but = f", only {_names(others)}" if others else ""
        raise UserError(f"{folder}: no audio files in it{but}; put some there ({known})")
    return _without_undecodable(folder, found)


def _without_undecodable(folder: Path, found: list[Path]) -> list[Path]:
    """Leave out what needs ffmpeg where that is not installed, with one warning. Raises `UserError` if none is left."""
    external = [path for path in found if path.suffix.lower() in EXTERNAL_SUFFIXES]
    if not external:
        return found  # Without the modules that ffmpeg needs.
    from edge.audio import ffmpeg

    if ffmpeg.available():
        return found
    remedy = "apt install ffmpeg, or convert them to WAV, FLAC, Opus or MP3"
    if len(external) == len(found):
        raise UserError(f"{folder}: {_names(external)}: decoded by ffmpeg, which is not installed: {remedy}")
    log.warning(
        "[recording_skipped] skipped: %s: decoded by ffmpeg, which is not installed: %s",
        _names(external),
        remedy,
    )
    return [path for path in found if path not in external]


def _names(paths: list[Path]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(path.name for path in paths[:NAMED]) + more
