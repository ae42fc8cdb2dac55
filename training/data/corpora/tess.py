"""TESS (Pichora-Fuller & Dupuis 2020, CC BY-NC-ND 4.0: evaluation only): `OAF_back_angry.wav`, two actresses."""

from __future__ import annotations

from pathlib import Path

from training.data.corpora.clip import LABEL_WORDS, Clip, Found, audio_files


def scan(root: Path) -> Found:
    """Scan a copy of TESS, whose file names are `SPEAKER_word_emotion`; `ps` is pleasant surprise."""
    found = Found("tess", root)
    for path in audio_files(root):
        parts = path.stem.split("_")
        word = parts[-1].lower()
        label = LABEL_WORDS.get(word)
        if len(parts) < 3:
            found.skip(path, "not a TESS file name")
        elif label is None:
            found.skip(path, f"unknown emotion {word}")
        else:
            # One file of the original is named OA_ instead of OAF_.
            speaker = "OAF" if parts[0].upper() in ("OA", "OAF") else parts[0].upper()
            found.add(Clip("tess", path, f"tess/{speaker}", label, word))
    return found
