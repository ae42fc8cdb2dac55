"""What a corpus consists of: clips with a speaker and a label."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True)
class Clip:
    """One recording of one speaker in one mood."""

    corpus: str
    path: Path
    speaker: str
    """Unique across corpora, such as `ravdess/02`."""
    label: str
    """One of `edge.contract.LABELS`."""
    fine_label: str = ""
    """The corpus's own label, where it is finer (`calm`)."""


@dataclass
class Found:
    """What a corpus folder held: clips, and what was skipped and why (reason -> examples)."""

    corpus: str
    root: Path
    clips: list[Clip] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, path: Path | str, reason: str) -> None:
        """Remember one file that is not used."""
        self.skipped.setdefault(reason, []).append(str(path))


AUDIO_SUFFIXES = {".wav", ".flac", ".opus", ".ogg", ".mp3"}


def audio_files(root: Path) -> list[Path]:
    """All audio files below `root`, in a stable order."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
