"""What a corpus consists of: clips with a speaker and a label."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge.audio import files
from edge.audio.walk import files_below

# Every corpus's own word for an emotion, in one place. `calm` counts as neutral; `None` is left out, visibly.
LABEL_WORDS: dict[str, str | None] = {
    "neutral": "neutral", "calm": "neutral", "neu": "neutral", "n": "neutral",
    "happy": "happy", "happiness": "happy", "joy": "happy", "gio": "happy", "hap": "happy", "h": "happy",
    "sad": "sad", "sadness": "sad", "tri": "sad", "sa": "sad",
    "angry": "angry", "anger": "angry", "rab": "angry", "ang": "angry", "a": "angry",
    "fearful": "fearful", "fear": "fearful", "pau": "fearful", "fea": "fearful", "f": "fearful",
    "disgust": "disgust", "dis": "disgust", "d": "disgust",
    "surprised": "surprised", "surprise": "surprised", "ps": "surprised", "sor": "surprised", "su": "surprised",
    "boredom": None,
}  # fmt: skip


ORDINARY = "ordinary"
"""In place of a label: speech that is neither acted nor labelled."""


@dataclass(frozen=True)
class Clip:
    """One labelled recording of one speaker: its path, corpus, speaker and label."""

    corpus: str
    path: Path
    speaker: str
    """Unique across corpora, such as `ravdess/02`."""
    label: str
    """One of `edge.protocol.LABELS`, or `ORDINARY`."""
    fine_label: str = ""
    """The corpus's own label, where it is finer (`calm`)."""


@dataclass
class Found:
    """The result of scanning a corpus folder: clips, and what was skipped and why (reason -> examples)."""

    corpus: str
    root: Path
    clips: list[Clip] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    _known: set[tuple[str, str]] = field(default_factory=set)

    def add(self, clip: Clip) -> None:
        """Keep one recording; a second file of that speaker and name is a copy (CREMA-D comes as WAV and as MP3)."""
        key = (clip.speaker, clip.path.stem)
        if key in self._known:
            self.skip(clip.path, "a second copy")
            return
        self._known.add(key)
        self.clips.append(clip)

    def skip(self, path: Path | str, reason: str) -> None:
        """Note a file that is not used, under the reason for it."""
        self.skipped.setdefault(reason, []).append(str(path))


LOSSLESS = (".wav", ".flac")
AUDIO_SUFFIXES = {*LOSSLESS, ".opus", ".ogg", ".oga", ".mp3", *files.EXTERNAL_SUFFIXES}


def audio_files(root: Path) -> list[Path]:
    """List all audio files below `root` in a stable order, lossless formats first; hidden files are left out."""
    found = (
        (path for path in files_below(root) if path.suffix.lower() in AUDIO_SUFFIXES) if root.is_dir() else ()
    )
    return sorted(found, key=lambda path: (path.suffix.lower() not in LOSSLESS, path))
