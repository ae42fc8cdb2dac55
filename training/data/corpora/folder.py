"""A user's own recordings: `DIR/<label>/*`, and `DIR/<label>/<speaker>/*` where the speaker is known."""

from __future__ import annotations

from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files


def scan(root: Path) -> Found:
    """The folder's name is the label (or a word that `LABEL_WORDS` knows)."""
    found = Found("folder", root)
    for path in audio_files(root):
        parts = path.relative_to(root).parts
        label = LABEL_WORDS.get(parts[0].lower()) if len(parts) > 1 else None
        if label is None:
            found.skip(path, "not in a folder named after a label")
            continue
        speaker = parts[1] if len(parts) > 2 else "unknown"
        found.clips.append(Clip("folder", path, f"folder/{speaker}", label, parts[0]))
    return found
