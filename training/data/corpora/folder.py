"""A user's own recordings: `DIR/<label>/*`, and `DIR/<label>/<speaker>/*` where the speaker is known.

`DIR/ordinary/*` is ordinary speech without labels; it is read by `scan_ordinary` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.data.corpora.clip import LABEL_WORDS, ORDINARY, Clip, Found, audio_files

CORPUS: Final = "folder"


def scan(root: Path) -> Found:
    """Scan a folder `<label>/...` of the user's own recordings.

    The folder's name is the label or a synonym in `LABEL_WORDS`.
    """
    found = Found(CORPUS, root)
    for path in audio_files(root):
        parts = path.relative_to(root).parts
        label = LABEL_WORDS.get(parts[0].lower()) if len(parts) > 1 else None
        if label is None:
            found.skip(path, "not in a folder named after a label")
            continue
        speaker = parts[1] if len(parts) > 2 else "unknown"
        found.clips.append(Clip(CORPUS, path, f"{CORPUS}/{speaker}", label, parts[0]))
    return found


def scan_ordinary(root: Path) -> list[Clip]:
    """Ordinary speech in `DIR/ordinary/*` or `DIR/ordinary/<speaker>/*`.

    A clip of an unknown speaker is a speaker of its own.
    """
    clips = []
    for path in audio_files(root / ORDINARY):
        parts = path.relative_to(root / ORDINARY).parts
        clips.append(Clip(CORPUS, path, f"{CORPUS}/{parts[0] if len(parts) > 1 else path.name}", ORDINARY))
    return clips
